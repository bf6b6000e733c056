// Puts the parts of the page to work.

document.documentElement.classList.add('js');
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const snapshot = read('snapshot-json');
const series = read('series-json');
const profile = read('profile-json');

const linesByName = (lines) => new Map(lines.map((line) => [line.name, line]));
const rowLines = linesByName(series.rows);
const cacheLines = linesByName(series.caches);

const rowsTable = document.getElementById('rows-table');
if (rowsTable) {
  const words = ({ names, started_by: startedBy, cgroups }) => [
    ...names.flatMap((group) => [group.path, group.pattern, group.example]),
    ...startedBy.flatMap((chain) => chain.comms),
    ...cgroups.map((cgroup) => cgroup.path),
  ].join(' ');
  const sorted = { bytes: 'bytes', objects: 'objects', growth: 'growth', age: 'oldest' }[snapshot.sort];
  const { rows } = snapshot;
  enhance(rowsTable, sorted, (at) => rowDetail(rows[at], rowLines.get(rows[at].key)), (at) => words(rows[at]));
}
const cachesTable = document.getElementById('caches-table');
if (cachesTable) {
  const { caches } = snapshot;
  enhance(cachesTable, 'bytes', (at) => cacheDetail(caches[at], cacheLines.get(caches[at].name)), (at) => caches[at].aliases.join(' '));
}
if (series.elapsed_ms.at(-1) > series.elapsed_ms[0]) growthChart(document.getElementById('growth'), series);
if (profile.samples.length) flameGraph(document.getElementById('stacks'), profile);

const contents = document.getElementById('contents');
for (const section of document.querySelectorAll('main > section[aria-labelledby]:not([hidden])')) {
  const title = section.id === 'verdict' ? 'Verdict' : section.querySelector('h2').textContent;
  contents.append(make('a', { href: `#${section.id}` }, title));
}
contents.hidden = false;
const guide = document.querySelector('#guide details');
contents.addEventListener('click', (event) => { if (event.target.hash === '#guide') guide.open = true; });
