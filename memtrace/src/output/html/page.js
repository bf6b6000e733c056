// Puts the parts of the page to work.

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

listContents();
const guide = document.querySelector('#guide details');
document.getElementById('contents').addEventListener('click', (event) => { if (event.target.hash === '#guide') guide.open = true; });
