// The page: header, sections, and what changes when a line is selected.
function header() {
  const { kernel, grid, block } = launch();
  const choose =
    data.launches.length < 2
      ? ''
      : el(
          'label',
          { class: 'small' },
          'Launch ',
          el(
            'select',
            {
              id: 'launch',
              onchange: (e) => {
                openLaunch(Number(e.target.value));
              },
            },
            ...data.launches.map((l, k) =>
              el(
                'option',
                { value: String(k), selected: k === state.launch },
                `${k + 1}. ${l.kernel} ${triple(l.grid)} × ${triple(l.block)}` +
                  `${l.findings.length ? `, ${several(l.findings.length, 'mistake')}` : ''}`,
              ),
            ),
          ),
        );
  return el(
    'header',
    { class: 'top' },
    el('h1', {}, kernel),
    el(
      'span',
      { class: 'dim' },
      `grid ${triple(grid)}, block ${triple(block)}: `,
      `${several(
        grid.reduce((a, b) => a * b, 1),
        'block',
      )} of ${several(threads(), 'thread')}`,
    ),
    choose,
    el('span', { class: 'brand dim' }, 'nnlite lens: counted on a CPU by rules, no GPU was used'),
  );
}

function summary() {
  const { profile } = launch();
  const stats = [];
  const add = (name, value, bad, about) =>
    stats.push(
      el(
        'div',
        { class: bad ? 'bad' : null, title: about },
        el('dt', {}, name),
        el('dd', {}, value),
      ),
    );
  if (launch().checked) {
    const errors = launch().findings.length;
    add('check', errors ? several(errors, 'mistake') : 'clean', errors > 0);
  }
  if (profile) {
    const global = profile.lines.filter((a) => a.space === 'global');
    const shared = profile.lines.filter((a) => a.space === 'shared');
    const branches = profile.lines.filter((a) => a.what === 'branch');
    const sectors = sum(global, (a) => a.sectors);
    const excess = sectors - sum(global, (a) => a.ideal_sectors);
    const waves = sum(shared, (a) => a.wavefronts);
    const conflicts = waves - sum(shared, (a) => a.ideal_wavefronts);
    const requests = sum(memory(profile.lines), (a) => a.requests);
    const lanes = sum(memory(profile.lines), (a) => a.lanes);
    add('requests', count(requests), false, 'of global and shared memory');
    add('lanes / request', significant(ratio(lanes, requests)));
    add('global sectors', count(sectors));
    add('beyond ideal', percent(ratio(excess, sectors)), excess > 0.2 * sectors, 'of the sectors');
    add('shared wavefronts', count(waves));
    add(
      'bank conflicts',
      count(conflicts),
      conflicts > 0,
      'wavefronts beyond those without conflicts',
    );
    add(
      'divergent branches',
      percent(
        ratio(
          sum(branches, (a) => a.divergent),
          sum(branches, (a) => a.requests),
        ),
      ),
      false,
    );
    add('FLOP', count(profile.flops));
    const both = [profile.intensity_without_caches, profile.intensity].map(significant);
    add(
      'FLOP / byte',
      [...new Set(both)].join(' to '),
      false,
      'without caches, and each byte moved once',
    );
  }
  return el('dl', { class: 'summary' }, ...stats);
}

function build() {
  document
    .getElementById('report')
    .replaceChildren(
      header(),
      summary(),
      findingsSection(),
      el(
        'div',
        { class: 'split' },
        el('div', { class: 'left' }, sourceSection(), timelineSection()),
        el('aside', { id: 'detail', 'aria-labelledby': 'detail-title' }),
      ),
      el('div', { class: 'pair' }, rooflineSection(), totalsSection()),
    );
  paintRoofline();
  update();
}

function update() {
  paintHeat();
  paintDetail();
  const parts = [
    `launch=${state.launch}`,
    `file=${state.file}`,
    `line=${state.line}`,
    `metric=${state.metric}`,
    `sample=${state.sample}`,
  ];
  try {
    window.history.replaceState(null, '', `#${parts.join('&')}`);
  } catch (error) {
    // Some viewers of local files forbid it; the page works without.
  }
}

function select(file, line, focus) {
  state.file = file;
  state.line = line;
  update();
  const row = document.querySelector('#code tr[aria-selected="true"]');
  if (!row) return;
  row.scrollIntoView({ block: 'nearest' });
  if (focus) row.focus({ preventScroll: true });
}

// The line that a reader should see first: of a finding, else the hottest.
function openLaunch(number, wanted) {
  state.launch = number;
  const given = wanted || {};
  const known = metricsHere().some((m) => m.key === given.metric);
  state.metric = known ? given.metric : defaultMetric();
  const metric = chosenMetric();
  const best = places().reduce(
    (a, b) => (a && metricValue(metric, ...a) >= metricValue(metric, ...b) ? a : b),
    null,
  );
  const named = places().find(
    ([file, line]) =>
      line === Number(given.line) && (given.file === undefined || file === Number(given.file)),
  );
  [state.file, state.line] = named || best || [-1, 0];
  state.sample = given.sample === 'first' ? 'first' : 'worst';
  build();
}

const wanted = Object.fromEntries(new URLSearchParams(window.location.hash.slice(1)));
const asked = Number(wanted.launch) || 0;
openLaunch(Math.min(Math.max(0, asked), data.launches.length - 1), wanted);
