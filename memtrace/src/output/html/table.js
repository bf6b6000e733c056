// Tables that are there already become sortable and searchable; rows fold out.

// The row after another may be its detail, which the script shows on demand.
function enhance(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const limit = Number(table.dataset.limit);
  const { sorted, what } = table.dataset;
  const state = { query: '', column: -1, descending: true, all: false };
  const isDetail = (line) => line !== null && line.classList.contains('detail');
  const rows = [...body.rows].filter((line) => !isDetail(line)).map((line, index) => ({
    line,
    index,
    detail: isDetail(line.nextElementSibling) ? line.nextElementSibling : null,
  }));
  let order = rows;

  const search = make('input', {
    type: 'search',
    placeholder: `Filter ${what}`,
    'aria-label': `Filter ${what}`,
    autocomplete: 'off',
    spellcheck: 'false',
  });
  onQuery(search, (query) => { state.query = query; show(); });
  const said = make('span', { 'aria-live': 'polite' });
  const more = make('button', { type: 'button', class: 'more', onclick: () => { state.all = !state.all; show(); } });
  const section = table.closest('section');
  const title = section.querySelector('h2');
  if (rows.length > 1) {
    const bar = make('div', { class: 'bar-of-section' });
    title.replaceWith(bar);
    bar.append(title, make('div', { class: 'controls' }, search));
    table.parentElement.after(make('div', { class: 'below-table' }, more, said));
  }

  heads.forEach((head, at) => {
    if (head.textContent === '') return;
    const button = make('button', { type: 'button', onclick: () => sort(at) }, head.textContent);
    head.replaceChildren(button);
    if (head.classList.contains(sorted)) state.column = at;
  });
  if (state.column >= 0) heads[state.column].setAttribute('aria-sort', 'descending');

  function key(row, at) {
    const cell = row.line.cells[at];
    return heads[at].dataset.sort === 'number' ? Number(cell.dataset.v) : cell.textContent.toLowerCase();
  }

  function sort(at) {
    const isNumber = heads[at].dataset.sort === 'number';
    state.descending = state.column === at ? !state.descending : isNumber;
    state.column = at;
    for (const head of heads) head.removeAttribute('aria-sort');
    heads[at].setAttribute('aria-sort', state.descending ? 'descending' : 'ascending');
    const sign = state.descending ? -1 : 1;
    const keyed = rows.map((row) => [key(row, at), row]);
    // Of equals, the report's own order.
    keyed.sort(([a, left], [b, right]) => (a < b ? -sign : a > b ? sign : left.index - right.index));
    order = keyed.map(([, row]) => row);
    const lines = document.createDocumentFragment();
    for (const row of order) {
      lines.append(row.line);
      if (row.detail) lines.append(row.detail);
    }
    body.append(lines);
    show();
  }

  // What a row is found by: its cells, and in its detail names but not figures.
  function text(row) {
    const names = row.detail?.querySelectorAll('.shared, p') ?? [];
    row.text ??= [row.line, ...names].map((element) => element.textContent).join(' ').toLowerCase();
    return row.text;
  }

  function show() {
    const queried = state.query.split(/\s+/).filter(Boolean);
    const found = order.filter((row) => queried.every((word) => text(row).includes(word)));
    const shown = new Set(state.all ? found : found.slice(0, limit));
    for (const row of rows) {
      row.line.hidden = !shown.has(row);
      if (row.detail) row.detail.hidden = row.line.hidden || row.fold.getAttribute('aria-expanded') !== 'true';
    }
    const isCut = found.length > limit;
    more.hidden = !isCut;
    more.textContent = state.all ? `Show the first ${limit}` : `Show all ${grouped(found.length)}`;
    const ofAll = state.query ? `${grouped(found.length)} of ${grouped(rows.length)} ${what} match` : '';
    const cut = !state.query && isCut && !state.all ? `${limit} of ${grouped(rows.length)} ${what}` : '';
    said.textContent = ofAll || cut;
  }

  function toggle(row) {
    row.detail.hidden = !row.detail.hidden;
    row.fold.setAttribute('aria-expanded', !row.detail.hidden);
  }

  for (const row of rows.filter((one) => one.detail)) {
    const head = row.line.querySelector('th');
    const name = make('span');
    name.append(...head.childNodes);
    row.fold = make('button', { type: 'button', class: 'fold', 'aria-expanded': 'false', onclick: () => toggle(row) }, name);
    head.append(row.fold);
    row.line.addEventListener('click', (event) => {
      const isText = String(window.getSelection()) !== '';
      if (!isText && !event.target.closest('button, a')) toggle(row);
    });
  }
  show();
}

