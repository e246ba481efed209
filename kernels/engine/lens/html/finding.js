// Findings: their table, and the picture of the two accesses.
function findingsSection() {
  if (!launch().checked) return '';
  const list = allFindings();
  if (!list.length) {
    return section(
      'findings',
      'Findings',
      el('p', { class: 'ok' }, 'No mistakes found: no race, no wrong index, no divergent barrier.'),
    );
  }
  const rows = list.map((f) =>
    el(
      'tr',
      { class: f.severity },
      el('td', {}, el('span', { class: `badge ${f.severity}` }, f.severity)),
      el('td', { class: 'nowrap' }, f.kind),
      el('td', { class: 'nowrap code' }, f.element),
      el('td', { class: 'nowrap' }, ...placeCell(f.access)),
      el('td', { class: 'nowrap' }, ...(f.other ? placeCell(f.other) : [])),
      el('td', { class: 'n' }, count(f.count)),
      el('td', { class: 'message' }, f.message),
    ),
  );
  const heads = ['', 'kind', 'element', 'at', 'and', 'seen', 'what is wrong'];
  const errors = launch().findings.length;
  const notes = launch().notes.length;
  const said = [several(errors, 'mistake'), notes ? several(notes, 'note') : ''].filter(Boolean);
  return section(
    'findings',
    `Findings: ${said.join(', ')}`,
    el(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Findings' },
      el(
        'table',
        { class: 'plain' },
        el('thead', {}, el('tr', {}, ...cells('th', heads, [0, 0, 0, 0, 0, 1, 0]))),
        el('tbody', {}, ...rows),
      ),
    ),
  );
}
const placeCell = (access) => [
  placeLink(access.file, access.line),
  el('span', { class: 'dim who' }, who(access)),
];
function who(access) {
  return access.thread ? `thread ${triple(access.thread)}, block ${triple(access.block)}` : '';
}

function findingCard(finding) {
  const sides = [
    ['A', finding.access],
    ['B', finding.other],
  ].filter(([, a]) => a);
  return el(
    'article',
    { class: `card ${finding.severity}` },
    el(
      'header',
      {},
      el(
        'h4',
        {},
        finding.kind,
        finding.element ? el('span', { class: 'tag' }, finding.element) : '',
      ),
      el('span', { class: `badge ${finding.severity}` }, finding.severity),
    ),
    el('p', {}, finding.message, finding.count > 1 ? ` (${count(finding.count)} times)` : '', '.'),
    el(
      'dl',
      { class: 'sides' },
      ...sides.flatMap(([name, a]) => [
        el('dt', { class: `side ${name}` }, name),
        el(
          'dd',
          {},
          a.line ? placeLink(a.file, a.line) : '',
          ' ',
          a.thread ? `${who(a)} ` : '',
          a.what,
          a.line ? el('code', {}, sourceLine(a.file, a.line)) : '',
        ),
      ]),
    ),
    twoAccesses(finding, sides),
    el('p', { class: 'remedy' }, el('b', {}, 'Remedy '), finding.remedy),
  );
}

const DOT = 10;
const number = (t, [x, y]) => t[0] + x * (t[1] + y * t[2]);

function twoAccesses(finding, sides) {
  const known = sides.filter(([, a]) => a.thread);
  if (!known.length) return '';
  const blocks = [];
  for (const [name, a] of known) {
    const key = triple(a.block);
    let block = blocks.find((b) => b.key === key);
    if (!block) blocks.push((block = { key, marks: [] }));
    block.marks.push([name, number(a.thread, launch().block)]);
  }
  const warps = Math.ceil(threads() / WARP);
  const grids = [];
  let y = 0;
  const centres = {};
  for (const block of blocks) {
    const [parts, height] = blockPicture(block, warps, y, centres);
    grids.push(...parts);
    y += height;
  }
  const strip = elementStrip(finding, y + 16, centres);
  const label =
    `${finding.kind}: ${known.map(([n, a]) => `${n} is ${who(a)}`).join('; ')}` +
    `${finding.index ? `; element ${finding.element}` : ''}.`;
  return el(
    'figure',
    { class: 'picture' },
    drawing(WIDTH, y + (strip.length ? 54 : 4), label, ...grids, ...strip),
    el(
      'figcaption',
      {},
      `Rows are warps, squares lanes${finding.index ? '; below, the element' : ''}.`,
    ),
  );
}

function blockPicture(block, warps, top, centres) {
  const parts = [svg('text', { x: MARGIN, y: top + 10, class: 'tiny dim' }, `block ${block.key}`)];
  const marked = new Set(block.marks.map(([, n]) => Math.floor(n / WARP)));
  let y = top + 14;
  for (let w = 0; w < warps; w += 1) {
    // Of many warps, those around the two threads are enough.
    if (warps > 12 && ![...marked].some((m) => Math.abs(m - w) <= 1)) {
      if (w && marked.has(w - 2)) {
        parts.push(svg('text', { x: MARGIN - 6, y: y + 7, class: 'tiny end dim' }, '⋮'));
        y += 9;
      }
      continue;
    }
    parts.push(svg('text', { x: MARGIN - 6, y: y + 9, class: 'tiny end dim' }, `warp ${w}`));
    for (let lane = 0; lane < Math.min(WARP, threads() - w * WARP); lane += 1) {
      const hits = block.marks.filter(([, n]) => n === w * WARP + lane);
      const x = MARGIN + lane * CELL;
      parts.push(
        svg('rect', {
          x: x + 0.5,
          y: y + 0.5,
          width: CELL - 2,
          height: DOT + 1,
          class: hits.length ? `mark ${hits[0][0]}` : 'thread',
        }),
      );
      for (const [name] of hits) {
        centres[name] = [x + CELL / 2, y + DOT + 1];
        parts.push(svg('text', { x: x + CELL / 2 - 0.5, y: y + 9, class: 'tiny mid on' }, name));
      }
    }
    y += DOT + 3;
  }
  return [parts, y - top + 4];
}

// The element along its last axis: what lies before and after it, and where the array ends.
function elementStrip(finding, y, centres) {
  if (!finding.index || !finding.index.length) return [];
  const last = finding.index[finding.index.length - 1];
  const extent = finding.shape ? finding.shape[finding.shape.length - 1] : null;
  const size = 37;
  const outside = extent !== null && (last < 0 || last >= extent);
  const span = 11;
  let from = Math.max(outside && last < 0 ? last - 2 : 0, last - 5);
  if (extent !== null && !outside) from = Math.max(0, Math.min(from, extent - span));
  const parts = [];
  for (let i = from; i < from + span; i += 1) {
    const inside = i >= 0 && (extent === null || i < extent);
    if (!inside && i !== last && !outside) continue;
    const x = MARGIN + (i - from) * (size + 3);
    const hit = i === last;
    parts.push(
      svg('rect', {
        x: x + 0.5,
        y: y + 0.5,
        width: size,
        height: 18,
        class: hit ? 'hit' : inside ? 'element' : 'outside',
      }),
      svg(
        'text',
        { x: x + size / 2, y: y + 13, class: `tiny mid${hit ? ' strong' : ' dim'}` },
        String(i),
      ),
    );
    if (hit) {
      for (const [name, [cx, cy]] of Object.entries(centres)) {
        const alone = Object.keys(centres).length < 2;
        const at = x + size / 2 + (alone ? 0 : name === 'A' ? -5 : 5);
        const bend = name === 'A' ? y - 6 : y - 11;
        parts.push(
          svg('path', {
            d: `M${cx} ${cy} L${cx} ${bend} L${at} ${bend} L${at} ${y}`,
            class: `wire ${name}`,
          }),
        );
      }
    }
  }
  const front = finding.index
    .slice(0, -1)
    .map((i) => `${i}, `)
    .join('');
  parts.push(
    svg(
      'text',
      { x: MARGIN - 6, y: y + 13, class: 'tiny end' },
      `${finding.array.slice(0, 9)}[${front}·]`,
    ),
  );
  parts.push(svg('text', { x: MARGIN, y: y + 31, class: 'tiny dim' }, stripNote(extent, outside)));
  return parts;
}
function stripNote(extent, outside) {
  if (extent === null) return '';
  return outside
    ? `the array ends at ${count(extent)}; dashed elements do not exist`
    : `${several(extent, 'element')} along this axis`;
}
