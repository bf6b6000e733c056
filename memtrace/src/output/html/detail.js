// What a row of a table folds out: all that the snapshot's JSON knows of it.

function block(title, ...content) {
  return make('div', {}, make('h3', {}, title), ...content);
}

function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '');
  return make('dl', {}, ...known.flatMap(([term, value]) => [make('dt', {}, term), make('dd', {}, value)]));
}

// A list of things with their share of the whole.
function shares(items, whole, name) {
  return make('ul', {}, ...items.map((item) => make(
    'li',
    { class: 'shared' },
    make('span', { class: 'num' }, percent(item.objects / Math.max(whole, 1))),
    make('span', {}, ...[name(item)].flat()),
  )));
}

function placeOf(group) {
  const directory = plain(group.path ?? group.parent);
  const between = group.kind === 'socket' ? ' ' : directory === '' || /[/:]$/.test(directory) ? '' : '/';
  return directory + between + plain(group.pattern);
}

function namesOf(group) {
  const asides = [
    group.negative_share > 0 ? `negative ${percent(group.negative_share)}` : null,
    group.file_type && group.file_type !== 'regular' ? group.file_type.replace('_', ' ') : null,
    group.filesystem ? plain(group.filesystem) : null,
    group.example && group.example !== group.pattern ? `such as ${plain(group.example)}` : null,
  ].filter(Boolean);
  return [placeOf(group), make('small', {}, asides.length ? `  ${asides.join(', ')}` : '')];
}

function cgroupOf(cgroup) {
  if (cgroup.path === null) return cgroup.id === 0 ? '(unknown)' : `(gone: ${cgroup.id})`;
  const of = cgroup.container ? ` ${cgroup.runtime ?? 'container'} ${cgroup.container.slice(0, 12)}` : '';
  return of ? [plain(cgroup.path), make('small', {}, of)] : plain(cgroup.path);
}

function trendline(line) {
  const most = line.bytes.reduce((a, b) => Math.max(a, b), 1);
  const last = Math.max(line.bytes.length - 1, 1);
  const step = Math.max(1, Math.floor(line.bytes.length / 400));
  const points = line.bytes
    .map((n, at) => [at, n])
    .filter(([at]) => at % step === 0 || at === last)
    .map(([at, n]) => `${((at / last) * 400).toFixed(1)},${(54 - (n / most) * 52).toFixed(1)}`);
  const least = line.bytes.reduce((a, b) => Math.min(a, b), most);
  return [
    draw('svg', { class: 'trendline', viewBox: '0 0 400 56', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, draw('path', { d: `M${points.join('L')}` })),
    make('small', {}, `between ${bytes(least)} and ${bytes(most)}`),
  ];
}

function rowDetail(row, line) {
  const process = row.process ?? {};
  const blocks = [
    block('Figures', facts([
      ['Objects', grouped(row.objects) + (row.objects_ci95 ? ` (${row.objects_ci95.map(grouped).join(' to ')})` : '')],
      ['Bytes', `${bytes(row.bytes)} (${grouped(row.bytes)})`],
      ['Allocations', `${grouped(row.allocs)}, ${rate(row.allocs_per_s)}`],
      ['Frees', `${grouped(row.frees)}, ${rate(row.frees_per_s)}`],
      ['Growth', growthOf(row.growth_per_s)],
      ['Kept', percent(row.survival)],
      ['Oldest', row.oldest_ns === null ? null : duration(row.oldest_ns / 1e6)],
      ['Processes', grouped(row.processes)],
      ['Pid', row.pid === null ? null : String(row.pid)],
      ['Program', process.program ? plain(process.program) : null],
      ['Command line', process.command_line ? plain(process.command_line) : null],
      ['Process', process.ended ? 'has ended' : null],
      ['Call site', row.call_site ? plain(row.call_site.symbol ?? row.call_site.address) : null],
      ['May be free', row.partial_objects > 0 ? `${grouped(row.partial_objects)}, of partial caches` : null],
    ])),
  ];
  if (line && line.bytes.length > 1) blocks.push(block('Bytes over the window', ...trendline(line)));
  if (row.started_by.length) {
    blocks.push(block('Started by', shares(row.started_by, row.objects, (chain) => chain.comms.map(plain).join(' < ') || '(not known)')));
  }
  if (row.cgroups.length) blocks.push(block('Cgroups', shares(row.cgroups, row.objects, cgroupOf)));
  if (row.caches.length > 1) blocks.push(block('Caches', shares(row.caches, row.objects, (cache) => `${plain(cache.name)} ${bytes(cache.bytes)}`)));
  const wide = [];
  if (row.names.length) wide.push(block('Names', shares(row.names, row.named_objects, namesOf)));
  if (row.stacks.length) {
    wide.push(block(`Call stacks, of ${grouped(row.stacked_objects)} objects`, ...row.stacks.map((stack) => make(
      'p',
      { class: 'frames' },
      `${percent(stack.objects / Math.max(row.stacked_objects, 1))}  ${stack.frames.map(plain).join(' < ')}`,
    ))));
  }
  for (const one of wide) one.classList.add('span');
  return make('div', { class: 'detail-grid' }, ...blocks, ...wide);
}

function cacheDetail(cache, line) {
  const known = (n, shown) => (n === null ? null : shown(n));
  const blocks = [
    block('Figures', facts([
      ['Outstanding', `${grouped(cache.outstanding_objects)}, ${bytes(cache.outstanding_bytes)}`],
      ['Allocations', grouped(cache.allocs)],
      ['Frees', grouped(cache.frees)],
      ['One object', bytes(cache.object_size)],
      ['In slabinfo', known(cache.slabinfo_objects, grouped)],
      ['Its growth', known(cache.slabinfo_objects_per_s, growthOf)],
      ['Grew by, in slabinfo', known(cache.slabinfo_growth, signed)],
      ['Grew by, traced', known(cache.traced_growth, signed)],
      ['Lost allocations', cache.lost_allocs ? grouped(cache.lost_allocs) : null],
      ['Lost frees', cache.lost_frees ? grouped(cache.lost_frees) : null],
      ['Frees not seen', cache.partial ? `~${percent(cache.partial.unseen_frees_share)}` : null],
      ['Memory', known(cache.reclaimable, (is) => (is ? 'reclaimable' : 'unreclaimable'))],
    ])),
  ];
  if (line && line.bytes.length > 1) blocks.push(block('Bytes over the window', ...trendline(line)));
  if (cache.aliases.length) {
    blocks.push(block('Merged by the kernel with', make('p', {}, `${cache.aliases.map(plain).join(', ')}: their objects cannot be told apart.`)));
  }
  return make('div', { class: 'detail-grid' }, ...blocks);
}

function signed(n) {
  return `${n < 0 ? '-' : '+'}${grouped(Math.abs(n))}`;
}

