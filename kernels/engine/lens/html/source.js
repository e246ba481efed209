// The source with heat: one row a line, coloured by the chosen figure.
function sourceSection() {
  const buttons = metricsHere().map((m) => {
    const none = metricTotal(m) === 0 && m.key !== state.metric;
    return el(
      'button',
      {
        type: 'button',
        class: 'choice',
        'data-metric': m.key,
        title: none ? `${m.about}: none in this launch` : m.about,
        disabled: none,
        onclick: () => {
          state.metric = m.key;
          update();
        },
      },
      m.name,
    );
  });
  return section(
    'source',
    'Source',
    el(
      'div',
      { class: 'toolbar' },
      el('span', { class: 'choices', role: 'group', 'aria-label': 'Colour lines by' }, ...buttons),
      el('span', { id: 'legend', class: 'legend' }),
    ),
    el('div', { class: 'scroll code-box', id: 'code' }, codeTable()),
  );
}

function codeTable() {
  const files = data.files
    .map((file, k) => [file, k])
    .filter(([, k]) => k === launch().file || places().some(([file]) => file === k));
  const figures = COLUMNS.filter((c) => places().some((at) => c.of(accessesAt(...at))));
  const body = el('tbody', { onkeydown: moveInCode });
  for (const [file, k] of files) {
    const shown = file.parts.filter((p) =>
      [[launch().file, launch().line], ...places()].some(
        ([f, line]) => f === k && p.first <= line && line < p.first + p.lines.length,
      ),
    );
    for (const part of shown) {
      body.append(
        el(
          'tr',
          { class: 'file' },
          el(
            'td',
            { colspan: String(3 + figures.length) },
            `${file.name}, from line ${part.first}`,
          ),
        ),
      );
      coloured(dedented(part.lines)).forEach((text, i) =>
        body.append(codeRow(k, part.first + i, text, figures)),
      );
    }
  }
  return el(
    'table',
    { class: 'code', role: 'grid', 'aria-label': 'Source with figures; arrow keys move' },
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        el('th', { class: 'n', scope: 'col', id: 'heat-head' }, ''),
        ...figures.map((c) => el('th', { class: 'n', scope: 'col', title: c.about }, c.name)),
        el('th', { class: 'n', scope: 'col' }, '#'),
        el('th', { scope: 'col', class: 'text' }, 'Source'),
      ),
    ),
    body,
  );
}

function codeRow(file, line, inked, figures) {
  const list = accessesAt(file, line);
  const known = places().some(([f, l]) => f === file && l === line);
  const marks = findingsAt(file, line);
  const worst = marks.some((f) => f.severity === 'error') ? 'error' : 'note';
  return el(
    'tr',
    {
      class: known ? 'known' : null,
      'data-file': String(file),
      'data-line': String(line),
      tabindex: known ? '-1' : null,
      onclick: known ? () => select(file, line) : null,
    },
    el('td', { class: 'heat' }),
    ...figures.map((c) =>
      el('td', { class: `n${c.bad && c.bad(list) ? ' bad' : ''}` }, c.of(list)),
    ),
    el(
      'td',
      { class: 'n number' },
      marks.length
        ? el('span', { class: `flag ${worst}`, title: marks.map((f) => f.kind).join(', ') }, '●')
        : '',
      String(line),
    ),
    el('td', { class: 'text' }, ...inked),
  );
}

function paintHeat() {
  const metric = chosenMetric();
  const values = new Map(places().map(([f, l]) => [`${f}:${l}`, metricValue(metric, f, l)]));
  const most = Math.max(1, ...values.values());
  for (const row of document.querySelectorAll('#code tr[data-line]')) {
    const value = values.get(`${row.dataset.file}:${row.dataset.line}`) || 0;
    row.dataset.heat = String(levelOf(value, most));
    row.cells[0].replaceChildren(
      ...(value ? [meter(value / most), el('span', { class: 'value' }, count(value))] : []),
    );
    const selected =
      Number(row.dataset.file) === state.file && Number(row.dataset.line) === state.line;
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
  document
    .querySelectorAll('[data-metric]')
    .forEach((b) => b.setAttribute('aria-pressed', String(b.dataset.metric === metric.key)));
  paintLegend(metric, most);
}
function meter(share) {
  return svg(
    'svg',
    { class: 'meter', width: 44, height: 10, 'aria-hidden': 'true' },
    svg('rect', { x: 0, y: 0, width: Math.max(1, 44 * share), height: 10 }),
  );
}
function paintLegend(metric, most) {
  const swatches = Array.from({ length: LEVELS }, (_, k) =>
    el('i', { 'data-heat': String(k + 1) }),
  );
  document
    .getElementById('legend')
    .replaceChildren(
      el('span', { class: 'dim' }, `${metric.about} `),
      '0',
      ...swatches,
      count(most),
    );
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
    m.arrivals.some((a) => a.file === file && a.line === line),
  );
  const cards = [...marks.map(findingCard), ...list.map(accessCard)];
  if (meetings.length) {
    const kinds = [
      ...new Set(
        meetings
          .flatMap((m) => m.arrivals)
          .filter((a) => a.file === file && a.line === line)
          .map((a) => a.what),
      ),
    ];
    cards.push(
      el(
        'p',
        { class: 'card' },
        `${kinds.join(', ')}: `,
        `${several(meetings.length, 'time')} in the first block, see the timeline.`,
      ),
    );
  }
  if (!cards.length) cards.push(el('p', { class: 'dim' }, 'Select a coloured line of the source.'));
  document
    .getElementById('detail')
    .replaceChildren(
      el('h2', { id: 'detail-title' }, line ? place(file, line) : 'Line'),
      line ? el('pre', { class: 'line' }, sourceLine(file, line)) : '',
      ...cards,
    );
}
