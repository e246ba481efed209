// The roofline of a GPU with the kernel on it, and the totals of the launch.
const PLOT = { left: 74, right: 16, top: 14, bottom: 40, width: 560, height: 300 };

function rooflineSection() {
  if (!launch().profile) return '';
  const choose = el(
    'select',
    {
      id: 'gpu',
      onchange: (e) => {
        state.gpu = e.target.value;
        paintRoofline();
      },
    },
    ...Object.entries(data.gpus).map(([key, g]) =>
      el('option', { value: key, selected: key === state.gpu }, g.name),
    ),
  );
  return section(
    'roofline',
    'Roofline',
    el('p', { class: 'small' }, el('label', { for: 'gpu' }, 'GPU '), choose),
    el(
      'p',
      { class: 'small dim' },
      'Peaks of float32 and memory by the vendor; upper bounds, nothing was timed.',
    ),
    el('div', { id: 'roof' }),
  );
}

function paintRoofline() {
  const box = document.getElementById('roof');
  if (!box) return;
  const { profile } = launch();
  const gpu = data.gpus[state.gpu];
  const ridge = gpu.flops / gpu.bandwidth;
  const points = [
    { name: 'no cache', about: 'as if there were no cache', x: profile.intensity_without_caches },
    { name: 'each byte once', about: 'each byte moved once', x: profile.intensity },
  ]
    .filter((p) => p.x > 0)
    .map((p) => ({ ...p, y: Math.min(gpu.flops, p.x * gpu.bandwidth) }));
  const rows = points.map((p) => [
    p.about,
    significant(p.x),
    p.x < ridge ? 'memory' : 'arithmetic',
    prefixed(p.y, 'FLOP/s'),
  ]);
  const none = el(
    'p',
    { class: 'dim' },
    'No floating-point operation was counted: the kernel moves data, and bandwidth bounds it.',
  );
  box.replaceChildren(
    points.length ? rooflineDrawing(gpu, ridge, points) : none,
    points.length
      ? table(
          ['', 'FLOP per byte', 'bound by', 'at most'],
          rows,
          [false, true, false, true],
          'Roofline',
        )
      : '',
  );
}

function rooflineDrawing(gpu, ridge, points) {
  const xs = [...points.map((p) => p.x), ridge];
  const low = Math.min(-1, Math.floor(Math.log10(Math.min(...xs)) - 0.2));
  const high = Math.max(3, Math.ceil(Math.log10(Math.max(...xs)) + 0.2));
  const floor = Math.floor(Math.log10(gpu.bandwidth * 10 ** low));
  const roof = Math.ceil(Math.log10(gpu.flops) + 0.05);
  const { left, right, top, bottom, width, height } = PLOT;
  const x = (v) => left + ((Math.log10(v) - low) / (high - low)) * (width - left - right);
  const y = (v) =>
    height - bottom - ((Math.log10(v) - floor) / (roof - floor)) * (height - top - bottom);
  const parts = [];
  for (let d = low; d <= high; d += 1) {
    parts.push(
      svg('line', { x1: x(10 ** d), x2: x(10 ** d), y1: top, y2: height - bottom, class: 'grid' }),
      svg(
        'text',
        { x: x(10 ** d), y: height - bottom + 14, class: 'tick mid' },
        d < 0 ? String(Number((10 ** d).toPrecision(1))) : count(10 ** d),
      ),
    );
  }
  for (let d = floor; d <= roof; d += 1) {
    parts.push(
      svg('line', { x1: left, x2: width - right, y1: y(10 ** d), y2: y(10 ** d), class: 'grid' }),
      svg('text', { x: left - 6, y: y(10 ** d) + 4, class: 'tick end' }, prefixed(10 ** d, '')),
    );
  }
  const start = 10 ** low;
  const end = 10 ** high;
  parts.push(
    svg('path', {
      class: 'roof',
      d:
        `M${x(start)} ${y(start * gpu.bandwidth)} ` +
        `L${x(ridge)} ${y(gpu.flops)} L${x(end)} ${y(gpu.flops)}`,
    }),
    svg(
      'text',
      { x: width - right - 4, y: y(gpu.flops) - 6, class: 'tick end ink' },
      `float32 ${prefixed(gpu.flops, 'FLOP/s')}`,
    ),
    alongRoof(gpu, [start, ...points.map((p) => p.x).filter((v) => v < ridge), ridge], x, y),
    svg(
      'text',
      { x: (left + width - right) / 2, y: height - 6, class: 'tick mid' },
      'arithmetic intensity, FLOP per byte',
    ),
    svg(
      'text',
      {
        x: 12,
        y: (top + height - bottom) / 2,
        class: 'tick mid',
        transform: `rotate(-90 12 ${(top + height - bottom) / 2})`,
      },
      'FLOP/s',
    ),
  );
  if (points.length > 1) {
    parts.push(
      svg('path', {
        class: 'span',
        d: points.map((p, k) => `${k ? 'L' : 'M'}${x(p.x)} ${y(p.y)}`).join(' '),
      }),
    );
  }
  points.forEach((p, k) => {
    // The last label stands above the roof's slope, the others under it.
    const above = k === points.length - 1 && p.x < ridge;
    const before = above || (k < points.length - 1 && p.x >= ridge);
    parts.push(
      svg('line', { x1: x(p.x), x2: x(p.x), y1: y(p.y), y2: height - bottom, class: 'drop' }),
      svg(
        'circle',
        { cx: x(p.x), cy: y(p.y), r: 4.5, class: k ? 'point' : 'point hollow' },
        title(`${p.about}: ${significant(p.x)} FLOP per byte, at most ${prefixed(p.y, 'FLOP/s')}`),
      ),
      svg(
        'text',
        {
          x: x(p.x) + (before ? -8 : 8),
          y: y(p.y) + (above ? -6 : 16),
          class: `tick ink${before ? ' end' : ''}`,
        },
        p.name,
      ),
    );
  });
  const said = points
    .map((p) => `${p.about} ${significant(p.x)} FLOP per byte, at most ` + prefixed(p.y, 'FLOP/s'))
    .join('; ');
  return drawing(width, height, `Roofline of ${gpu.name}: ${said}`, ...parts);
}

// The bandwidth is written where the slope has most room between the points.
function alongRoof(gpu, stops, x, y) {
  const rooms = stops.slice(1).map((v, k) => [v / stops[k], Math.sqrt(v * stops[k])]);
  const at = rooms.reduce((a, b) => (b[0] > a[0] ? b : a))[1];
  const slope = Math.atan2(y(100 * gpu.bandwidth) - y(gpu.bandwidth), x(100) - x(1));
  const [cx, cy] = [x(at), y(at * gpu.bandwidth)];
  return svg(
    'text',
    {
      x: cx,
      y: cy - 7,
      class: 'tick mid ink',
      transform: `rotate(${(180 * slope) / Math.PI} ${cx} ${cy})`,
    },
    `memory ${prefixed(gpu.bandwidth, 'B/s')}`,
  );
}

// -- totals --------------------------------------------------------------------------------------
function totalsSection() {
  const { profile } = launch();
  if (!profile) return '';
  const of = (space, what) =>
    profile.lines.filter((a) => a.space === space && (!what || a.what === what));
  const rows = [];
  const add = (name, value, metric) => rows.push([name, value, metric || '']);
  const add3 = (space, name, unit, short, metrics) => {
    for (const what of ['load', 'store', 'atomic']) {
      const list = of(space, what);
      if (!list.length) continue;
      const requests = sum(list, (a) => a.requests);
      const total = sum(list, (a) => a[unit]);
      const ideal = sum(list, (a) => a[`ideal_${unit}`]);
      add(`${name} ${what}s, requests`, count(requests), metrics[0][what]);
      add(`${name} ${what}s, ${unit}`, `${count(total)} (ideal ${count(ideal)})`, metrics[1][what]);
    }
  };
  add3('global', 'global', 'sectors', 'sectors', COUNTERS.global);
  add3('shared', 'shared', 'wavefronts', 'wavefronts', COUNTERS.shared);
  const branches = of('', 'branch');
  if (branches.length) {
    add('branches, by warps', count(sum(branches, (a) => a.requests)));
    add('divergent branches', count(sum(branches, (a) => a.divergent)), COUNTERS.divergent);
  }
  add('bytes of all sectors', count(profile.bytes_moved));
  add('bytes of different sectors', count(profile.bytes_touched));
  add('floating-point operations', count(profile.flops));
  add('FLOP per byte, no cache', significant(profile.intensity_without_caches));
  add('FLOP per byte, each byte once', significant(profile.intensity));
  if (profile.dropped) add('accesses not counted', count(profile.dropped));
  return section(
    'totals',
    'Totals of the launch',
    el(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Totals' },
      table(['', 'value', 'counter of Nsight Compute'], rows, [false, true], 'Totals'),
    ),
  );
}
const lsu = (stage, rest) => `l1tex__${stage}_pipe_lsu_${rest}.sum`;
const COUNTERS = {
  global: [
    { load: lsu('t_requests', 'mem_global_op_ld'), store: lsu('t_requests', 'mem_global_op_st') },
    { load: lsu('t_sectors', 'mem_global_op_ld'), store: lsu('t_sectors', 'mem_global_op_st') },
  ],
  shared: [
    { load: 'smsp__inst_executed_op_shared_ld.sum', store: 'smsp__inst_executed_op_shared_st.sum' },
    {
      load: 'l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum',
      store: 'l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st.sum',
    },
  ],
  divergent: 'smsp__sass_branch_targets_threads_divergent.sum',
};
