// The lanes of a warp: their colours, and the tables that say the same as the pictures.
const RAMP = ['#46327e', '#365c8d', '#277f8e', '#1fa187', '#4ac16d', '#a0da39', '#fde725'];

function laneColour(lane) {
  const at = (lane / (WARP - 1)) * (RAMP.length - 1);
  const k = Math.min(RAMP.length - 2, Math.floor(at));
  const channel = (c, i) => parseInt(c.slice(1 + 2 * i, 3 + 2 * i), 16);
  const mix = (i) =>
    Math.round(channel(RAMP[k], i) + (at - k) * (channel(RAMP[k + 1], i) - channel(RAMP[k], i)));
  return `rgb(${mix(0)},${mix(1)},${mix(2)})`;
}
const inkOn = (lane) => (lane < 17 ? 'on-dark' : 'on-light');
const threadOf = (request, lane) => position(WARP * request.warp + lane, launch().block);
const elementOf = (array, index) => (index && index.length ? `${array}[${index.join(', ')}]` : '');

// A cell for each lane; `look` gives the classes of cell and number, else lanes have colours.
function strip(x0, y, cell, request, look) {
  const active = new Set(request.lanes);
  const parts = [];
  for (let lane = 0; lane < WARP; lane += 1) {
    const on = active.has(lane);
    const x = x0 + lane * cell;
    const [box, ink] = !on ? ['idle', 'dim'] : look ? look(lane) : ['lane', inkOn(lane)];
    parts.push(
      svg(
        'g',
        {},
        title(`lane ${lane}, thread ${triple(threadOf(request, lane))}${on ? '' : ': not active'}`),
        svg('rect', {
          x,
          y,
          width: cell - 1,
          height: 13,
          class: box,
          fill: on && !look ? laneColour(lane) : null,
        }),
        svg('text', { x: x + (cell - 1) / 2, y: y + 10, class: `tiny mid ${ink}` }, String(lane)),
      ),
    );
  }
  return parts;
}

function laneTable(access, request) {
  const heads = ['lane', 'thread', access.what === 'branch' ? 'goes' : 'element'];
  const shared = access.space === 'shared';
  if (access.what !== 'branch') heads.push('byte', shared ? 'bank' : 'sector');
  const rows = request.lanes.map((lane, k) => {
    const address = request.addresses[k];
    const row = [String(lane), triple(threadOf(request, lane))];
    if (access.what === 'branch') return [...row, address ? 'into the branch' : 'past it'];
    const part = shared ? Math.floor(address / 4) % 32 : Math.floor(address / 32);
    return [...row, elementOf(access.array, request.indices[k]), count(address), count(part)];
  });
  return el(
    'details',
    { class: 'lanes' },
    el('summary', {}, 'Lanes as a table'),
    el(
      'div',
      { class: 'scroll short', tabindex: '0', role: 'region', 'aria-label': 'Lanes' },
      table(heads, rows, [true, false, false, true, true], 'Lanes of the request'),
    ),
  );
}
