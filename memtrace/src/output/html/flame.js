// Call stacks as an icicle: who called stands above whom, as wide as what came of it.

const ROW_HEIGHT = 22;
// Narrower frames are not drawn: nobody could read or hit them.
const LEAST_PIXELS = 2;
const LABEL_PIXELS = 26;

function flameGraph(section, profile) {
  const graph = section.querySelector('.flame');
  const crumbs = section.querySelector('.crumbs');
  const search = section.querySelector('input');
  const said = section.querySelector('.found');
  const root = grow(profile);
  const state = { unit: 'bytes', top: root, query: '', focus: root };
  let nodes = new WeakMap();
  let elements = new Map();

  const value = (node) => node[state.unit];
  const figure = (n) => (state.unit === 'bytes' ? bytes(n) : `${grouped(n)} objects`);

  function grow({ texts, samples }) {
    const node = (name, kind, parent) => ({ name, kind, parent, bytes: 0, objects: 0, children: new Map() });
    const all = node('all', 'process', null);
    for (const sample of samples) {
      let here = all;
      const add = () => {
        here.bytes += sample.bytes;
        here.objects += sample.objects;
      };
      const enter = (text, kind) => {
        const key = `${kind}${text}`;
        if (!here.children.has(key)) here.children.set(key, node(texts[text], kind, here));
        here = here.children.get(key);
        add();
      };
      add();
      enter(sample.comm, 'process');
      sample.frames.forEach((frame, at) => enter(frame, at < sample.user ? 'user' : 'kernel'));
    }
    return all;
  }

  function sorted(node) {
    return [...node.children.values()].filter((child) => value(child) > 0).sort((a, b) => value(b) - value(a));
  }

  function above(node) {
    const chain = [];
    for (let one = node.parent; one; one = one.parent) chain.unshift(one);
    return chain;
  }

  const matches = (node) => state.query !== '' && node.name.toLowerCase().includes(state.query);

  function render() {
    const width = Math.max(graph.clientWidth, 200);
    const chain = above(state.top);
    const drawn = document.createDocumentFragment();
    nodes = new WeakMap();
    elements = new Map();
    let deepest = 0;
    const add = (node, left, share, depth, isAbove) => {
      deepest = Math.max(deepest, depth);
      const element = make('div', {
        class: `frame ${node.kind}${isAbove ? ' above' : ''}${matches(node) ? ' hit' : ''}`,
        role: 'treeitem',
        tabindex: '-1',
        'aria-level': depth + 1,
        'aria-label': `${node.name}, ${figure(value(node))}, ${percent(value(node) / value(root))} of all`,
      }, share * width >= LABEL_PIXELS ? node.name : '');
      element.style.left = `${left * 100}%`;
      element.style.width = `calc(${share * 100}% - ${share * width > 6 ? 1 : 0.5}px)`;
      element.style.top = `${depth * ROW_HEIGHT}px`;
      nodes.set(element, node);
      elements.set(node, element);
      drawn.append(element);
    };
    chain.forEach((node, depth) => add(node, 0, 1, depth, true));
    const stack = [[state.top, 0, 1, chain.length]];
    while (stack.length) {
      const [node, left, share, depth] = stack.pop();
      add(node, left, share, depth, false);
      let at = left;
      for (const child of sorted(node)) {
        const part = share * (value(child) / value(node));
        // They are in order, so all that follow are narrower.
        if (part * width < LEAST_PIXELS) break;
        stack.push([child, at, part, depth + 1]);
        at += part;
      }
    }
    graph.style.height = `${(deepest + 1) * ROW_HEIGHT}px`;
    graph.replaceChildren(drawn);
    if (!elements.has(state.focus)) state.focus = state.top;
    elements.get(state.focus).tabIndex = 0;
    renderCrumbs(chain);
    renderFound();
  }

  function renderCrumbs(chain) {
    if (!chain.length) {
      crumbs.replaceChildren(make('span', {}, `all, ${figure(value(root))}`));
      return;
    }
    // Of a long way, its start and its end.
    const shown = chain.length > 5 ? [...chain.slice(0, 2), null, ...chain.slice(-2)] : chain;
    const parts = shown.flatMap((node) => [
      node ? make('button', { type: 'button', onclick: () => zoom(node) }, node.name) : make('span', {}, '…'),
      make('i', { 'aria-hidden': 'true' }, '›'),
    ]);
    const here = `${state.top.name}, ${figure(value(state.top))}, ${percent(value(state.top) / value(root))} of all`;
    crumbs.replaceChildren(...parts, make('span', { 'aria-current': 'true' }, here));
  }

  // Each sample counts once, however often the name is in its stack.
  function renderFound() {
    if (state.query === '') {
      said.textContent = '';
      return;
    }
    let found = 0;
    const stack = [state.top];
    while (stack.length) {
      const node = stack.pop();
      if (matches(node)) found += value(node);
      else stack.push(...node.children.values());
    }
    said.textContent = `${percent(found / Math.max(value(state.top), 1))} through “${search.value.trim()}”, ${figure(found)}`;
  }

  function zoom(node) {
    state.top = node;
    hideTip();
    render();
  }

  function focus(node) {
    if (!node || !elements.has(node)) return;
    elements.get(state.focus)?.setAttribute('tabindex', '-1');
    state.focus = node;
    const element = elements.get(node);
    element.tabIndex = 0;
    element.focus();
  }

  function describe(node, x, y) {
    const where = { process: 'process', user: 'in the program', kernel: 'in the kernel' }[node.kind];
    const ofParent = node.parent ? `, ${percent(value(node) / value(node.parent))} of its caller` : '';
    showTip(x, y, node.name, `${bytes(node.bytes)}, ${grouped(node.objects)} objects`, `${percent(value(node) / value(root))} of all${ofParent}, ${where}`);
  }

  const nodeOf = (event) => nodes.get(event.target.closest('.frame'));
  graph.addEventListener('click', (event) => {
    const node = event.target.closest('.frame') && nodeOf(event);
    if (!node) return;
    state.focus = node;
    zoom(node);
    elements.get(node).focus({ preventScroll: true });
    hideTip();
  });
  graph.addEventListener('pointermove', (event) => {
    const node = event.target.closest('.frame') && nodeOf(event);
    if (node) describe(node, event.clientX, event.clientY);
    else hideTip();
  });
  graph.addEventListener('pointerleave', hideTip);
  graph.addEventListener('focusin', (event) => {
    const node = nodeOf(event);
    if (!node || !event.target.matches(':focus-visible')) return;
    const box = event.target.getBoundingClientRect();
    describe(node, box.left, box.bottom - 12);
  });
  graph.addEventListener('focusout', hideTip);
  graph.addEventListener('keydown', (event) => {
    const here = state.focus;
    const beside = (by) => {
      if (!here.parent) return;
      const siblings = sorted(here.parent);
      focus(siblings[siblings.indexOf(here) + by]);
    };
    const keys = {
      ArrowDown: () => focus(sorted(here)[0]),
      ArrowUp: () => focus(here.parent),
      ArrowLeft: () => beside(-1),
      ArrowRight: () => beside(1),
      Enter: () => { zoom(here); focus(here); },
      ' ': () => { zoom(here); focus(here); },
      Escape: () => { zoom(state.top.parent ?? root); focus(here); },
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  onQuery(search, (query) => { state.query = query; render(); });
  choice(section, 'data-unit', state.unit, (unit) => { state.unit = unit; render(); });
  section.querySelector('.period').textContent = profile.stacks_period === null
    ? 'Stacks were not recorded; the call site in the kernel stands for each.'
    : profile.stacks_period > 1 ? `The stack of one allocation in ${profile.stacks_period} was recorded; counts are scaled up.` : '';
  section.hidden = false;
  render();
  onResize(graph, render);
}

