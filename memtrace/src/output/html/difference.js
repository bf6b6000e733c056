// Puts the parts of a difference's page to work.

const profile = read('profile-json');
for (const id of ['rows-table', 'caches-table']) {
  const table = document.getElementById(id);
  if (table) enhance(table, table.dataset.sorted, null, () => '');
}
if (profile.samples.length) flameGraph(document.getElementById('stacks'), profile);
listContents();
