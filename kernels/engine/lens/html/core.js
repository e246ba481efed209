// Elements, numbers, and what is selected.
const data = JSON.parse(document.getElementById('data').textContent);
const WARP = 32;
const state = { launch: 0, file: -1, line: 0, metric: '', sample: 'first', gpu: data.gpu };

function made(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== '') node.append(child);
  }
  return node;
}
const el = (tag, attributes, ...children) =>
  made(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  made(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
const title = (text) => svg('title', {}, text);

// A drawing that is as wide as drawn where there is room, and shrinks where there is not.
function drawing(width, height, label, ...children) {
  const box = { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label };
  return svg('svg', { ...box, style: null, width, height, class: 'drawing' }, ...children);
}

const whole = new Intl.NumberFormat('en-US');
const count = (x) => whole.format(x);
const several = (n, thing, plural) => `${count(n)} ${n === 1 ? thing : plural || thing + 's'}`;
function significant(x) {
  if (!Number.isFinite(x)) return '–';
  if (Math.abs(x) >= 1000 || Number.isInteger(x)) return count(Math.round(x));
  return String(Number(x.toPrecision(3)));
}
const percent = (x) => `${x > 0 && x < 0.01 ? '<1' : Math.round(100 * x)}%`;
function prefixed(x, unit) {
  const steps = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
    [1, ''],
  ];
  const [scale, letter] = steps.find(([s]) => x >= s) || [1, ''];
  return `${significant(x / scale)} ${letter}${unit}`;
}
const triple = (t) => `(${t.join(', ')})`;
const ratio = (a, b) => (b ? a / b : 0);
const sum = (list, of) => list.reduce((total, x) => total + of(x), 0);

// -- positions -----------------------------------------------------------------------------------
const launch = () => data.launches[state.launch];
const position = (n, [x, y]) => [n % x, Math.floor(n / x) % y, Math.floor(n / (x * y))];
const threads = () => launch().block.reduce((a, b) => a * b, 1);
const place = (file, line) =>
  line && file >= 0 ? `${data.files[file].name}:${line}` : 'end of the kernel';
function sourceLine(file, line) {
  for (const part of file >= 0 ? data.files[file].parts : []) {
    if (part.first <= line && line < part.first + part.lines.length) {
      return part.lines[line - part.first].trim();
    }
  }
  return '';
}
const accesses = () => (launch().profile ? launch().profile.lines : []);
const allFindings = () => [...launch().findings, ...launch().notes];
const accessesAt = (file, line) => accesses().filter((a) => a.file === file && a.line === line);
const findingsAt = (file, line) =>
  allFindings().filter((f) =>
    [f.access, f.other].some((a) => a && a.file === file && a.line === line),
  );

// -- pieces --------------------------------------------------------------------------------------
const section = (id, heading, ...children) =>
  el(
    'section',
    { id, 'aria-labelledby': `${id}-title` },
    el('h2', { id: `${id}-title` }, heading),
    ...children,
  );
const cells = (tag, row, numeric) =>
  row.map((x, k) =>
    el(tag, { class: numeric && numeric[k] ? 'n' : null, scope: tag === 'th' ? 'col' : null }, x),
  );
const table = (heads, rows, numeric, name) =>
  el(
    'table',
    { class: 'plain', 'aria-label': name },
    el('thead', {}, el('tr', {}, ...cells('th', heads, numeric))),
    el('tbody', {}, ...rows.map((row) => el('tr', {}, ...cells('td', row, numeric)))),
  );
const placeLink = (file, line) =>
  line && file >= 0
    ? el(
        'button',
        { class: 'link', type: 'button', onclick: () => select(file, line) },
        place(file, line),
      )
    : place(file, line);
