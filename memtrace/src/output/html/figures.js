// Figures, written as text/human.rs writes them (a test compares the two), and elements made of text alone.

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

// To the nearest whole number, of two the even one, as Rust does.
function whole(n) {
  return n % 1 === 0.5 ? 2 * Math.round(n / 2) : Math.round(n);
}

function scale(n, base) {
  let unit = 0;
  while (unit < 6 && Math.round(n) >= base) {
    n /= base;
    unit += 1;
  }
  const tenths = Math.round(n * 10) / 10;
  return [tenths < 100 ? tenths.toFixed(1) : whole(Math.min(n, base - 1)), unit];
}

function bytes(n) {
  if (n < 1024) return `${n} B`;
  const [digits, unit] = scale(n, 1024);
  return `${digits} ${BINARY[unit]}`;
}

function grouped(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ',');
}

function count(n) {
  if (n < 1e6) return grouped(Math.round(n));
  const [digits, unit] = scale(n, 1000);
  return `${digits} ${DECIMAL[unit]}`;
}

function duration(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 1) return `${Math.floor(ms)} ms`;
  if (s < 60) return `${s}.${Math.floor(ms / 100) % 10} s`;
  const [m, h, d] = [Math.floor(s / 60), Math.floor(s / 3600), Math.floor(s / 86400)];
  if (s < 3600) return `${m} m ${s % 60} s`;
  if (s < 86400) return `${h} h ${m % 60} m`;
  if (d < 100) return `${d} d ${h % 24} h`;
  return d < 10000 ? `${d} d` : '>9999 d';
}

function percent(share) {
  if (!(share > 0)) return '0%';
  if (share >= 1) return '100%';
  if (share < 0.01) return '<1%';
  return share > 0.99 ? '>99%' : `${whole(share * 100)}%`;
}

// In UTC: `03:14:30`.
function clock(ms) {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString().slice(11, 19);
}

// An element with attributes, handlers (`onclick`) and children; strings become text, never markup.
function make(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return dress(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Buttons of which one is pressed.
function choice(group, attribute, chosen, choose) {
  const buttons = [...group.querySelectorAll(`button[${attribute}]`)];
  const press = (value) => {
    for (const button of buttons) button.setAttribute('aria-pressed', button.getAttribute(attribute) === value);
  };
  for (const button of buttons) {
    button.addEventListener('click', () => {
      press(button.getAttribute(attribute));
      choose(button.getAttribute(attribute));
    });
  }
  press(chosen);
}

// What is typed into a search box, in lower case; Escape clears it.
function onQuery(search, queried) {
  const typed = () => queried(search.value.trim().toLowerCase());
  search.addEventListener('input', typed);
  search.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    search.value = '';
    typed();
  });
}

function onResize(element, render) {
  let width = element.clientWidth;
  new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    render();
  }).observe(element);
}

// The one tooltip of the page.
const tip = document.querySelector('.tip');

function showTip(x, y, title, ...lines) {
  tip.replaceChildren(make('b', {}, title), ...lines.map((line) => make('span', {}, line)));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.max(8, Math.min(x + 14, window.innerWidth - width - 8));
  const top = y + 18 + height > window.innerHeight ? Math.max(8, y - height - 12) : y + 18;
  tip.style.left = `${left}px`;
  tip.style.top = `${top}px`;
}

function hideTip() {
  tip.hidden = true;
}

// The data in a script element; null where there is none.
function read(id) {
  return JSON.parse(document.getElementById(id)?.textContent ?? 'null');
}

// The sections that are shown, as links below the page's title.
function listContents() {
  const contents = document.getElementById('contents');
  for (const section of document.querySelectorAll('main > section[aria-labelledby]:not([hidden])')) {
    const title = section.id === 'verdict' ? 'Verdict' : section.querySelector('h2').textContent;
    contents.append(make('a', { href: `#${section.id}` }, title));
  }
  contents.hidden = false;
}
