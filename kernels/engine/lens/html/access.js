// Which lane touches which address: rows of 128 bytes, as 4 sectors or as 32 banks.
const CELL = 14;
const ROW = 15;
const GAP = 3; // between rows that do not follow each other
const MARGIN = 56;
const WIDTH = MARGIN + 32 * CELL + 2;

function accessPicture(access, request) {
  if (access.what === 'branch') return branchPicture(request);
  const rows = rowsOf(request);
  const top = access.space === 'shared' ? 66 : 40;
  const height = top + rows.length * ROW + gaps(rows) * GAP + 4;
  const label = pictureLabel(access, request);
  const parts = [
    svg('text', { x: MARGIN - 6, y: 10, class: 'tiny end dim' }, 'lane'),
    ...strip(MARGIN, 0, CELL, request),
    ...(access.space === 'shared' ? bankHeads(request, top) : sectorHeads(top)),
  ];
  let y = top;
  rows.forEach((row, k) => {
    if (k && row.number !== rows[k - 1].number + 1) y += GAP;
    parts.push(...drawRow(access, row, y, rows[0].number));
    y += ROW;
  });
  return el(
    'figure',
    { class: 'picture' },
    drawing(WIDTH, height, label, ...parts),
    el('figcaption', {}, label),
  );
}

// The touched stretches of 128 bytes, each with the stretches of lanes in it.
function rowsOf(request) {
  const found = new Map();
  request.addresses.forEach((address, k) => {
    for (let byte = address; byte < address + request.size;) {
      const number = Math.floor(byte / 128);
      const end = Math.min(address + request.size, 128 * (number + 1));
      if (!found.has(number)) found.set(number, new Map());
      const row = found.get(number);
      const key = `${byte}-${end}`;
      if (!row.has(key))
        row.set(key, { from: byte - 128 * number, to: end - 128 * number, by: [] });
      row.get(key).by.push(k);
      byte = end;
    }
  });
  return [...found.keys()]
    .sort((a, b) => a - b)
    .map((number) => ({ number, pieces: [...found.get(number).values()], request }));
}
const gaps = (rows) => rows.filter((r, k) => k && r.number !== rows[k - 1].number + 1).length;

function drawRow(access, row, y, first) {
  const { request } = row;
  const shared = access.space === 'shared';
  const parts = [
    svg(
      'text',
      { x: MARGIN - 6, y: y + 10, class: 'tiny end dim' },
      shared ? `byte ${count(128 * row.number)}` : `+${count(128 * (row.number - first))} B`,
    ),
  ];
  for (let s = 0; s < 4; s += 1) {
    const touched = row.pieces.some((p) => p.from < 32 * (s + 1) && p.to > 32 * s);
    const kind = shared ? 'bank-row' : touched ? 'moved' : 'untouched';
    parts.push(
      svg('rect', {
        x: MARGIN + s * 8 * CELL + 0.5,
        y: y + 0.5,
        width: 8 * CELL - 1,
        height: ROW - 2,
        class: kind,
      }),
    );
  }
  for (const piece of row.pieces) {
    const lanes = piece.by.map((k) => request.lanes[k]);
    const x = MARGIN + (piece.from / 4) * CELL;
    const width = ((piece.to - piece.from) / 4) * CELL - 1;
    const what = elementOf(access.array, request.indices[piece.by[0]]);
    const who = lanes.length > 1 ? `lanes ${lanes.join(', ')}` : `lane ${lanes[0]}`;
    const text = lanes.length > 1 ? `×${lanes.length}` : String(lanes[0]);
    parts.push(
      svg(
        'g',
        {},
        title(`${who}: ${what}`),
        svg('rect', {
          x: x + 0.5,
          y: y + 0.5,
          width: Math.max(1, width),
          height: ROW - 2,
          fill: laneColour(lanes[0]),
          class: 'lane',
        }),
        width < 10
          ? ''
          : svg(
              'text',
              {
                x: x + width / 2 + 0.5,
                y: y + 10,
                class: `tiny mid ${inkOn(lanes[0])}${
                  text.length > 2 && width < 16 ? ' narrow' : ''
                }`,
              },
              text,
            ),
      ),
    );
  }
  return parts;
}

function sectorHeads(top) {
  return [0, 1, 2, 3].map((s) =>
    svg(
      'text',
      { x: MARGIN + (8 * s + 4) * CELL, y: top - 6, class: 'tiny mid dim' },
      `sector ${s}`,
    ),
  );
}

// Words in each bank, of the part of the warp that is served at once, the fullest part counting.
function wordsPerBank(request) {
  const group = request.size <= 4 ? WARP : (WARP * 4) / request.size;
  const most = new Array(32).fill(0);
  for (let first = 0; first < WARP; first += group) {
    const words = new Set();
    request.lanes.forEach((lane, k) => {
      if (lane < first || lane >= first + group) return;
      const last = request.addresses[k] + request.size - 1;
      for (let w = Math.floor(request.addresses[k] / 4); w <= Math.floor(last / 4); w += 1) {
        words.add(w);
      }
    });
    const here = new Array(32).fill(0);
    words.forEach((w) => {
      here[w % 32] += 1;
    });
    here.forEach((n, bank) => {
      most[bank] = Math.max(most[bank], n);
    });
  }
  return most;
}

function bankHeads(request, top) {
  const words = wordsPerBank(request);
  const most = Math.max(...words, 1);
  const parts = [
    svg('text', { x: MARGIN - 6, y: top - 27, class: 'tiny end dim' }, 'words'),
    svg('text', { x: MARGIN - 6, y: top - 6, class: 'tiny end dim' }, 'bank'),
  ];
  words.forEach((n, bank) => {
    const x = MARGIN + bank * CELL;
    const h = Math.max(n ? 2 : 0, (n / most) * 14);
    parts.push(
      svg(
        'g',
        {},
        title(`bank ${bank}: ${several(n, 'different word')} in one turn`),
        svg('rect', {
          x: x + 1.5,
          y: top - 18 - h,
          width: CELL - 3,
          height: h,
          class: n > 1 ? 'conflict' : 'served',
        }),
        n > 1
          ? svg('text', { x: x + CELL / 2, y: top - 20 - h, class: 'tiny mid bad' }, String(n))
          : '',
        svg('text', { x: x + CELL / 2 - 0.5, y: top - 6, class: 'tiny mid dim' }, String(bank)),
      ),
    );
  });
  return parts;
}

function pictureLabel(access, request) {
  const block = triple(position(request.block, launch().grid));
  const lanes = several(request.lanes.length, 'lane');
  const size = several(request.size, 'byte');
  const who = `Warp ${request.warp} of block ${block}: ${lanes} × ${size}`;
  if (access.space === 'shared') {
    const extra = request.wavefronts - request.ideal_wavefronts;
    const turns = several(request.wavefronts, 'wavefront');
    return (
      `${who}; ${turns}, ideal ${request.ideal_wavefronts}` +
      `${extra ? `: ${extra} more by bank conflicts` : ''}.`
    );
  }
  const asked = new Set(request.addresses).size * request.size;
  const moved = 32 * request.sectors;
  return (
    `${who}; ${several(request.sectors, 'sector')} = ${count(moved)} bytes moved for ` +
    `${count(asked)} different ones (${percent(ratio(asked, moved))} used), ideal ` +
    `${several(request.ideal_sectors, 'sector')}.`
  );
}

function branchPicture(request) {
  const goes = new Map(request.lanes.map((lane, k) => [lane, request.addresses[k]]));
  const taken = sum(request.addresses, (a) => (a ? 1 : 0));
  const label =
    `Warp ${request.warp} of block ${triple(position(request.block, launch().grid))}: ` +
    `${several(taken, 'lane')} into the branch (filled), ` +
    `${count(request.lanes.length - taken)} past it.`;
  const look = (lane) => (goes.get(lane) ? ['taken', 'on'] : ['passed', '']);
  const parts = strip(MARGIN, 1, CELL, request, look);
  parts.push(svg('text', { x: MARGIN - 6, y: 11, class: 'tiny end dim' }, 'lane'));
  return el(
    'figure',
    { class: 'picture' },
    drawing(WIDTH, 16, label, ...parts),
    el('figcaption', {}, label),
  );
}

// -- the panel of a line -------------------------------------------------------------------------
function accessCard(access) {
  const branch = access.what === 'branch';
  const figures = [
    ['requests', count(access.requests)],
    ['lanes / request', significant(access.lanes / access.requests)],
  ];
  if (access.space === 'global') {
    figures.push(
      ['sectors / request', significant(access.sectors / access.requests)],
      ['ideal', significant(access.ideal_sectors / access.requests)],
      ['used', percent(ratio(access.useful, 32 * access.sectors))],
    );
  }
  if (access.space === 'shared') {
    figures.push(
      ['wavefronts / request', significant(access.wavefronts / access.requests)],
      ['ideal', significant(access.ideal_wavefronts / access.requests)],
    );
  }
  if (access.busiest) {
    figures.push(['lanes on one address', significant(access.busiest / access.requests)]);
  }
  if (branch) figures.push(['divergent', percent(access.divergent / access.requests)]);
  const which = access.worst && state.sample === 'worst' ? 'worst' : 'first';
  const request = access[which];
  const choose = (name) =>
    el(
      'button',
      {
        type: 'button',
        class: 'choice',
        'aria-pressed': String(which === name),
        onclick: () => {
          state.sample = name;
          update();
        },
      },
      name === 'first' ? 'First' : 'Worst',
    );
  return el(
    'article',
    { class: 'card' },
    el(
      'header',
      {},
      el(
        'h4',
        {},
        branch ? 'branch' : `${access.what} ${access.array}`,
        branch ? '' : el('span', { class: 'tag' }, access.space),
      ),
      access.worst
        ? el(
            'span',
            { class: 'choices', role: 'group', 'aria-label': 'Sample request' },
            choose('first'),
            choose('worst'),
          )
        : el(
            'span',
            { class: 'dim small' },
            access.requests > 1 ? 'first request; none is worse' : 'the only request',
          ),
    ),
    el(
      'dl',
      { class: 'figures' },
      ...figures.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
    ),
    request ? accessPicture(access, request) : '',
    request ? laneTable(access, request) : '',
  );
}
