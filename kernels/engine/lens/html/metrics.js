// The figures that lines can be coloured by.
const memory = (list) => list.filter((a) => a.what !== 'branch');
const METRICS = [
  { key: 'findings', name: 'Findings', about: 'mistakes and notes that name the line' },
  {
    key: 'requests',
    name: 'Requests',
    about: 'requests of global and shared memory by warps',
    of: (list) => sum(memory(list), (a) => a.requests),
  },
  {
    key: 'sectors',
    name: 'Sectors',
    about: 'sectors of 32 bytes of global memory',
    of: (list) => sum(list, (a) => a.sectors),
  },
  {
    key: 'excess',
    name: 'Excess sectors',
    about: 'sectors beyond those that the bytes would fill',
    of: (list) => sum(list, (a) => a.sectors - a.ideal_sectors),
  },
  {
    key: 'wavefronts',
    name: 'Shared wavefronts',
    about: 'turns that shared memory needs',
    of: (list) => sum(list, (a) => a.wavefronts),
  },
  {
    key: 'conflicts',
    name: 'Bank conflicts',
    about: 'wavefronts beyond those without conflicts',
    of: (list) => sum(list, (a) => a.wavefronts - a.ideal_wavefronts),
  },
  {
    key: 'idle',
    name: 'Idle lanes',
    about: 'lanes that take no part, over all requests',
    of: (list) => sum(memory(list), (a) => WARP * a.requests - a.lanes),
  },
  {
    key: 'divergent',
    name: 'Divergence',
    about: 'branches at which lanes of a warp part',
    of: (list) => sum(list, (a) => a.divergent),
  },
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
const metricsHere = () => METRICS.filter((m) => (m.of ? launch().profile : launch().checked));
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
  {
    name: 'Req',
    about: 'requests of memory and executed branches',
    of: (list) =>
      list.length ? count(sum(memory(list).length ? memory(list) : list, (a) => a.requests)) : '',
  },
  {
    name: 'Lanes',
    about: 'active lanes of a request, of 32',
    of: (list) => {
      const own = memory(list).length ? memory(list) : list;
      return own.length ? significant(sum(own, (a) => a.lanes) / sum(own, (a) => a.requests)) : '';
    },
  },
  {
    name: 'Sect',
    about: 'global sectors of 32 bytes for each request',
    of: (list) => perRequest(list, 'global', 'sectors'),
    bad: (list) => list.some((a) => a.sectors > 1.25 * a.ideal_sectors),
  },
  {
    name: 'Ideal',
    about: 'sectors for each request that its bytes would fill',
    of: (list) => perRequest(list, 'global', 'ideal_sectors'),
  },
  {
    name: 'Waves',
    about: 'shared wavefronts for each request',
    of: (list) => perRequest(list, 'shared', 'wavefronts'),
    bad: (list) => list.some((a) => a.wavefronts > a.ideal_wavefronts),
  },
  {
    name: 'Ideal',
    about: 'wavefronts for each request without bank conflicts',
    of: (list) => perRequest(list, 'shared', 'ideal_wavefronts'),
  },
];
function perRequest(list, space, name) {
  const own = list.filter((a) => a.space === space);
  return own.length ? significant(sum(own, (a) => a[name]) / sum(own, (a) => a.requests)) : '';
}
