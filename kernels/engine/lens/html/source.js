// The source with heat: one row a line, coloured by the chosen figure.
const memory = (list) => list.filter((a) => a.what !== 'branch');
const METRICS = [
  { key: 'findings', name: 'Findings', about: 'mistakes and notes that name the line' },
  { key: 'requests', name: 'Requests', about: 'requests of global and shared memory by warps',
    of: (list) => sum(memory(list), (a) => a.requests) },
  { key: 'sectors', name: 'Sectors', about: 'sectors of 32 bytes of global memory',
    of: (list) => sum(list, (a) => a.sectors) },
  { key: 'excess', name: 'Excess sectors', about: 'sectors beyond those that the bytes would fill',
    of: (list) => sum(list, (a) => a.sectors - a.ideal_sectors) },
  { key: 'wavefronts', name: 'Shared wavefronts', about: 'turns that shared memory needs',
    of: (list) => sum(list, (a) => a.wavefronts) },
  { key: 'conflicts', name: 'Bank conflicts', about: 'wavefronts beyond those without conflicts',
    of: (list) => sum(list, (a) => a.wavefronts - a.ideal_wavefronts) },
  { key: 'idle', name: 'Idle lanes', about: 'lanes that take no part, over all requests',
    of: (list) => sum(memory(list), (a) => WARP * a.requests - a.lanes) },
  { key: 'divergent', name: 'Divergence', about: 'branches at which lanes of a warp part',
    of: (list) => sum(list, (a) => a.divergent) },
];
const LEVELS = 7;

function metricValue(metric, file, line) {
  return metric.of ? metric.of(accessesAt(file, line)) : findingsAt(file, line).length;
}
function places() {
  const found = new Map();
  const add = (file, line) => {
    if (file >= 0 && line) found.set(`${file}:${line}`, [file, line]);
  };
  accesses().forEach((a) => add(a.file, a.line));
  allFindings().forEach((f) => [f.access, f.other].forEach((a) => a && add(a.file, a.line)));
  launch().meetings.forEach((m) => m.arrivals.forEach((a) => add(a.file, a.line)));
  return [...found.values()].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}
const metricTotal = (metric) => sum(places(), ([file, line]) => metricValue(metric, file, line));
const metricsHere = () =>
  METRICS.filter((m) => (m.of ? launch().profile : launch().checked));
function defaultMetric() {
  const order = ['findings', 'excess', 'conflicts', 'sectors', 'wavefronts', 'requests'];
  const here = metricsHere();
  const best = order.find((k) => here.some((m) => m.key === k && metricTotal(m) > 0));
  return best || (here[0] || METRICS[0]).key;
}
const chosenMetric = () => METRICS.find((m) => m.key === state.metric);
const levelOf = (value, most) => (value > 0 ? Math.max(1, Math.ceil((LEVELS * value) / most)) : 0);

// -- figures of a row ----------------------------------------------------------------------------
const COLUMNS = [
  { name: 'Req', about: 'requests of memory and executed branches', of: (list) =>
    (list.length ? count(sum(memory(list).length ? memory(list) : list, (a) => a.requests)) : '') },
  { name: 'Lanes', about: 'active lanes of a request, of 32', of: (list) => {
    const own = memory(list).length ? memory(list) : list;
    return own.length ? significant(sum(own, (a) => a.lanes) / sum(own, (a) => a.requests)) : '';
  } },
  { name: 'Sect', about: 'global sectors of 32 bytes for each request', of: (list) =>
    perRequest(list, 'global', 'sectors'),
  bad: (list) => list.some((a) => a.sectors > 1.25 * a.ideal_sectors) },
  { name: 'Ideal', about: 'sectors for each request that its bytes would fill', of: (list) =>
    perRequest(list, 'global', 'ideal_sectors') },
  { name: 'Waves', about: 'shared wavefronts for each request', of: (list) =>
    perRequest(list, 'shared', 'wavefronts'),
  bad: (list) => list.some((a) => a.wavefronts > a.ideal_wavefronts) },
  { name: 'Ideal', about: 'wavefronts for each request without bank conflicts', of: (list) =>
    perRequest(list, 'shared', 'ideal_wavefronts') },
];
function perRequest(list, space, name) {
  const own = list.filter((a) => a.space === space);
  return own.length ? significant(sum(own, (a) => a[name]) / sum(own, (a) => a.requests)) : '';
}

// -- the section ---------------------------------------------------------------------------------
function sourceSection() {
  const buttons = metricsHere().map((m) => {
    const none = metricTotal(m) === 0 && m.key !== state.metric;
    return el('button', { type: 'button', class: 'choice', 'data-metric': m.key,
      title: none ? `${m.about}: none in this launch` : m.about, disabled: none,
      onclick: () => { state.metric = m.key; update(); } }, m.name);
  });
  return section('source', 'Source',
    el('div', { class: 'toolbar' },
      el('span', { class: 'choices', role: 'group', 'aria-label': 'Colour lines by' }, ...buttons),
      el('span', { id: 'legend', class: 'legend' })),
    el('div', { class: 'scroll code-box', id: 'code' }, codeTable()));
}

function codeTable() {
  const files = data.files.map((file, k) => [file, k]).filter(([, k]) =>
    k === launch().file || places().some(([file]) => file === k));
  const figures = COLUMNS.filter((c) => places().some((at) => c.of(accessesAt(...at))));
  const body = el('tbody', { onkeydown: moveInCode });
  for (const [file, k] of files) {
    const shown = file.parts.filter((p) => [[launch().file, launch().line], ...places()]
      .some(([f, line]) => f === k && p.first <= line && line < p.first + p.lines.length));
    for (const part of shown) {
      body.append(el('tr', { class: 'file' },
        el('td', { colspan: String(3 + figures.length) }, `${file.name}, from line ${part.first}`)));
      coloured(dedented(part.lines)).forEach((text, i) =>
        body.append(codeRow(k, part.first + i, text, figures)));
    }
  }
  return el('table', { class: 'code', role: 'grid', 'aria-label': 'Source with figures; arrow keys move' },
    el('thead', {}, el('tr', {},
      el('th', { class: 'n', scope: 'col', id: 'heat-head' }, ''),
      ...figures.map((c) => el('th', { class: 'n', scope: 'col', title: c.about }, c.name)),
      el('th', { class: 'n', scope: 'col' }, '#'),
      el('th', { scope: 'col', class: 'text' }, 'Source'))),
    body);
}

// Python in four colours. Strings of three quotes may go over several lines.
const WORDS = 'and as assert break class continue def del elif else except False finally for from ' +
  'global if import in is lambda None nonlocal not or pass raise return True try while with yield';
const TOKEN = new RegExp([
  /(?<comment>#.*)/, /(?<open>"""|\'\'\')/, /(?<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/,
  new RegExp(`(?<keyword>\\b(?:${WORDS.replaceAll(' ', '|')})\\b)`),
  /(?<literal>\b\d[\w.]*)/, /(?<other>\w+|\W)/].map((r) => r.source).join('|'), 'gy');
function dedented(lines) {
  const margins = lines.filter((s) => s.trim()).map((s) => s.length - s.trimStart().length);
  return lines.map((s) => s.slice(Math.min(...margins)));
}
function coloured(lines) {
  let quote = '';
  return lines.map((text) => {
    const out = [];
    for (let at = 0; at < text.length;) {
      let kind = 'string';
      let end = text.length;
      if (quote) {
        const closes = text.indexOf(quote, at);
        if (closes >= 0) [end, quote] = [closes + 3, ''];
      } else {
        TOKEN.lastIndex = at;
        const found = TOKEN.exec(text);
        end = TOKEN.lastIndex;
        kind = Object.keys(found.groups).find((g) => found.groups[g] !== undefined);
        if (kind === 'open') quote = found[0];
      }
      const piece = text.slice(at, end);
      out.push(kind === 'other' ? piece : el('span', { class: kind === 'open' ? 'string' : kind }, piece));
      at = end;
    }
    return out.length ? out : [' '];
  });
}

function codeRow(file, line, inked, figures) {
  const list = accessesAt(file, line);
  const known = places().some(([f, l]) => f === file && l === line);
  const marks = findingsAt(file, line);
  const worst = marks.some((f) => f.severity === 'error') ? 'error' : 'note';
  return el('tr', { class: known ? 'known' : null, 'data-file': String(file),
    'data-line': String(line), tabindex: known ? '-1' : null,
    onclick: known ? () => select(file, line) : null },
  el('td', { class: 'heat' }),
  ...figures.map((c) => el('td', { class: `n${c.bad && c.bad(list) ? ' bad' : ''}` }, c.of(list))),
  el('td', { class: 'n number' }, marks.length
    ? el('span', { class: `flag ${worst}`, title: marks.map((f) => f.kind).join(', ') }, '●') : '',
  String(line)),
  el('td', { class: 'text' }, ...inked));
}

function paintHeat() {
  const metric = chosenMetric();
  const values = new Map(places().map(([f, l]) => [`${f}:${l}`, metricValue(metric, f, l)]));
  const most = Math.max(1, ...values.values());
  for (const row of document.querySelectorAll('#code tr[data-line]')) {
    const value = values.get(`${row.dataset.file}:${row.dataset.line}`) || 0;
    row.dataset.heat = String(levelOf(value, most));
    row.cells[0].replaceChildren(...(value ? [
      meter(value / most),
      el('span', { class: 'value' }, count(value))] : []));
    const selected = Number(row.dataset.file) === state.file && Number(row.dataset.line) === state.line;
    if (row.classList.contains('known')) {
      row.setAttribute('aria-selected', String(selected));
      row.tabIndex = selected ? 0 : -1;
    }
  }
  if (!document.querySelector('#code tr[aria-selected="true"]')) {
    const first = document.querySelector('#code tr.known');
    if (first) first.tabIndex = 0;
  }
  document.getElementById('heat-head').textContent = metric.name;
  document.querySelectorAll('[data-metric]').forEach((b) =>
    b.setAttribute('aria-pressed', String(b.dataset.metric === metric.key)));
  paintLegend(metric, most);
}
function meter(share) {
  return svg('svg', { class: 'meter', width: 44, height: 10, 'aria-hidden': 'true' },
    svg('rect', { x: 0, y: 0, width: Math.max(1, 44 * share), height: 10 }));
}
function paintLegend(metric, most) {
  const swatches = Array.from({ length: LEVELS }, (_, k) =>
    el('i', { 'data-heat': String(k + 1) }));
  document.getElementById('legend').replaceChildren(
    el('span', { class: 'dim' }, `${metric.about} `), '0', ...swatches, count(most));
}

function moveInCode(event) {
  const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
  const row = event.target.closest('tr.known');
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Enter' || event.key === ' ') {
    select(Number(row.dataset.file), Number(row.dataset.line));
  } else if (step) {
    const rows = [...document.querySelectorAll('#code tr.known')];
    const next = rows[rows.indexOf(row) + step];
    if (next) select(Number(next.dataset.file), Number(next.dataset.line), true);
  } else return;
  event.preventDefault();
}

// -- the panel beside it -------------------------------------------------------------------------
function paintDetail() {
  const { file, line } = state;
  const list = accessesAt(file, line);
  const marks = findingsAt(file, line);
  const meetings = launch().meetings.filter((m) =>
    m.arrivals.some((a) => a.file === file && a.line === line));
  const cards = [...marks.map(findingCard), ...list.map(accessCard)];
  if (meetings.length) {
    const kinds = [...new Set(meetings.flatMap((m) => m.arrivals)
      .filter((a) => a.file === file && a.line === line).map((a) => a.what))];
    cards.push(el('p', { class: 'card' }, `${kinds.join(', ')}: `,
      `${several(meetings.length, 'time')} in the first block, see the timeline.`));
  }
  if (!cards.length) cards.push(el('p', { class: 'dim' }, 'Select a coloured line of the source.'));
  document.getElementById('detail').replaceChildren(
    el('h2', { id: 'detail-title' }, line ? place(file, line) : 'Line'),
    line ? el('pre', { class: 'line' }, sourceLine(file, line)) : '', ...cards);
}
