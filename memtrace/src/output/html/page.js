// Puts the parts of the page to work. A difference's page has no series.

const series = read('series-json');
const profile = read('profile-json');
document.querySelectorAll('table.data').forEach(enhance);
if (series?.elapsed_ms.at(-1) > series?.elapsed_ms[0]) growthChart(document.getElementById('growth'), series);
if (profile.samples.length) flameGraph(document.getElementById('stacks'), profile);
listContents();
document.querySelector('a[href="#guide"]')?.addEventListener('click', () => { document.querySelector('#guide details').open = true; });
