// Python in four colours. Strings of three quotes may go over several lines.
const WORDS =
  'and as assert break class continue def del elif else except False finally for from ' +
  'global if import in is lambda None nonlocal not or pass raise return True try while with yield';
const TOKEN = new RegExp(
  [
    /(?<comment>#.*)/,
    /(?<open>"""|\'\'\')/,
    /(?<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/,
    new RegExp(`(?<keyword>\\b(?:${WORDS.replaceAll(' ', '|')})\\b)`),
    /(?<literal>\b\d[\w.]*)/,
    /(?<other>\w+|\W)/,
  ]
    .map((r) => r.source)
    .join('|'),
  'gy',
);
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
      out.push(
        kind === 'other' ? piece : el('span', { class: kind === 'open' ? 'string' : kind }, piece),
      );
      at = end;
    }
    return out.length ? out : [' '];
  });
}
