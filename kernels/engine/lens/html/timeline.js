// Barriers of the first block by thread: one row a warp, one column a step.
const STEP_WIDTH = 22;
const LINE_COLOURS = 6;

function timelineSection() {
  const { meetings } = launch();
  if (!meetings.length) {
    return section(
      'timeline',
      'Barriers',
      el(
        'p',
        { class: 'dim' },
        launch().findings.some((f) => f.kind === 'launch limit')
          ? 'The launch did not run.'
          : 'No barrier and no operation of a warp: no thread waits for another.',
      ),
    );
  }
  const more = launch().meetings_lost;
  const divergent = meetings.filter((m) => m.divergent).length;
  return section(
    'timeline',
    'Barriers of block (0, 0, 0)',
    el(
      'p',
      { class: 'small' },
      timelineLegend(),
      el(
        'span',
        { class: 'dim' },
        ' Rows are warps, columns the order in which they meet; not time.',
      ),
      more ? ` ${several(more, 'later meeting')} not shown.` : '',
      divergent ? el('b', { class: 'bad' }, ` ${several(divergent, 'step')} divergent.`) : '',
    ),
    el(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Timeline' },
      timelineDrawing(meetings),
    ),
    meetingTable(meetings),
  );
}

const keyOf = (a) => (a.what === 'returned' ? 'returned' : `${a.file}:${a.line}`);
function linesMet() {
  const found = new Map();
  for (const a of launch().meetings.flatMap((m) => m.arrivals)) {
    if (a.what !== 'returned' && !found.has(keyOf(a))) found.set(keyOf(a), a);
  }
  const order = [...found.values()].sort((a, b) => a.file - b.file || a.line - b.line);
  return new Map(order.map((a, k) => [keyOf(a), { ...a, colour: `c${k % LINE_COLOURS}` }]));
}
function timelineLegend() {
  const away = launch().meetings.some((m) => m.arrivals.some((a) => a.what === 'returned'));
  return el(
    'span',
    { class: 'keys' },
    ...[...linesMet().values()].map((a) =>
      el(
        'span',
        { class: 'key' },
        el('i', { class: `swatch ${a.colour}` }),
        placeLink(a.file, a.line),
        ` ${a.what}`,
      ),
    ),
    away ? el('span', { class: 'key' }, el('i', { class: 'swatch returned' }), 'has returned') : '',
  );
}

// Steps at which a meeting stands: after everything that its threads have met before.
function stepsOf(meetings) {
  const warps = Math.ceil(threads() / WARP);
  const clock = new Array(warps).fill(0);
  return meetings.map((m) => {
    const taking = new Set();
    for (const a of m.arrivals) {
      for (const [first, last] of a.threads) {
        for (let w = Math.floor(first / WARP); w <= Math.floor(last / WARP); w += 1) taking.add(w);
      }
    }
    const step = Math.max(...[...taking].map((w) => clock[w]));
    taking.forEach((w) => {
      clock[w] = step + 1;
    });
    return step;
  });
}

function timelineDrawing(meetings) {
  const colours = linesMet();
  const steps = stepsOf(meetings);
  const total = threads();
  const warps = Math.ceil(total / WARP);
  const tall = Math.max(7, Math.min(24, Math.floor(200 / warps)));
  const left = 58;
  const top = 18;
  const width = left + (Math.max(...steps) + 1) * STEP_WIDTH + 8;
  const bottom = top + warps * (tall + 2);
  const parts = [];
  for (let w = 0; w < warps; w += 1) {
    const y = top + w * (tall + 2);
    parts.push(
      svg('rect', { x: left, y, width: width - left - 8, height: tall, class: 'track' }),
      svg('text', { x: left - 6, y: y + tall / 2 + 3, class: 'tiny end dim' }, `warp ${w}`),
    );
  }
  meetings.forEach((m, k) => {
    const x = left + steps[k] * STEP_WIDTH + 3;
    const inner = m.arrivals.map((a) => {
      const look = a.what === 'returned' ? 'returned' : colours.get(keyOf(a)).colour;
      return svg(
        'g',
        {},
        title(arrivalText(m, a, k)),
        ...a.threads.flatMap(([first, last]) => stretch(first, last, x, top, tall, look)),
      );
    });
    if (m.divergent) {
      inner.push(
        svg('rect', {
          x: x - 2.5,
          y: top - 3,
          width: STEP_WIDTH - 1,
          height: bottom - top + 4,
          class: 'divergent',
        }),
      );
    }
    if (m.kind !== 'warp') {
      inner.push(
        svg(
          'text',
          { x: x + 8, y: top - 6, class: `tiny mid${m.divergent ? ' bad' : ' dim'}` },
          m.kind === 'stuck'
            ? '∞'
            : String(meetings.slice(0, k + 1).filter((o) => o.kind !== 'warp').length),
        ),
      );
    }
    parts.push(svg('g', {}, ...inner));
  });
  return drawing(
    width,
    bottom + 4,
    `Timeline of ${several(meetings.length, 'meeting')} of ` +
      `${several(total, 'thread')}; the table below says the same`,
    ...parts,
  );
}

// Threads first to last as bars in the rows of their warps, as high as their part of the warp.
function stretch(first, last, x, top, tall, look) {
  const parts = [];
  for (let w = Math.floor(first / WARP); w <= Math.floor(last / WARP); w += 1) {
    const from = Math.max(first, w * WARP) - w * WARP;
    const to = Math.min(last, w * WARP + WARP - 1) - w * WARP + 1;
    const lanes = Math.min(WARP, threads() - w * WARP);
    parts.push(
      svg('rect', {
        x,
        y: top + w * (tall + 2) + (tall * from) / lanes,
        width: STEP_WIDTH - 6,
        height: Math.max(1, (tall * (to - from)) / lanes),
        class: look,
      }),
    );
  }
  return parts;
}
const stretchText = (a) => a.threads.map(([x, y]) => (x === y ? x : `${x}–${y}`)).join(', ');
function arrivalText(m, a, k) {
  const where =
    a.what === 'returned'
      ? `returned at ${place(a.file, a.line)}`
      : `${m.kind === 'stuck' ? 'wait for ever at' : 'at'} ${place(a.file, a.line)} ${a.what}`;
  return `meeting ${k + 1}, ${m.kind}: threads ${stretchText(a)} ${where}`;
}

const MOST_ROWS = 200;
function meetingTable(meetings) {
  const rows = meetings
    .slice(0, MOST_ROWS)
    .map((m, k) => [
      String(k + 1),
      m.kind,
      m.arrivals
        .map(
          (a) =>
            `${stretchText(a)}: ${a.what === 'returned' ? 'returned at ' : ''}` +
            place(a.file, a.line),
        )
        .join('; '),
      m.divergent ? 'divergent' : '',
    ]);
  return el(
    'details',
    {},
    el('summary', {}, 'Meetings as a table'),
    el(
      'div',
      { class: 'scroll short', tabindex: '0', role: 'region', 'aria-label': 'Meetings' },
      table(['', 'kind', 'threads: place', ''], rows, [true], 'Meetings of the first block'),
      meetings.length > MOST_ROWS ? el('p', { class: 'dim' }, `The first ${MOST_ROWS}.`) : '',
    ),
  );
}
