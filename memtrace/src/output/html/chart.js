// Growth over time: lines, a cursor that reads them, and zoom.

const COLOURS = 10;
// For the labels of marks, above the plot.
const LANES = 2;
const LANE_HEIGHT = 16;
const MARGIN = 10;
// The width of a letter, about.
const LETTER = 7;
// About what a sheet of paper has room for.
const PRINT_WIDTH = 700;
const X_STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800];

function growthChart(section, series) {
  const plot = section.querySelector('.chart');
  const legend = section.querySelector('.legend ul');
  const moment = section.querySelector('.legend .moment');
  const reset = section.querySelector('.reset');
  const elapsed = series.elapsed_ms;
  const [first, last] = [elapsed[0], elapsed[elapsed.length - 1]];
  const lines = { caches: linesOf(series.caches), rows: linesOf(series.rows) };
  if (series.slab.some((n) => n !== null)) {
    lines.caches.push({ name: 'all slab of the host', class: 'host', hidden: true, bytes: series.slab.map((n) => n ?? 0), objects: null });
  }
  const state = { group: series.caches.length ? 'caches' : 'rows', unit: 'bytes', from: first, to: last, cursor: null, drag: null };
  let frame = null;
  let isPrinting = false;
  let overlay = null;

  function linesOf(all) {
    return all.map((line, at) => ({
      ...line,
      class: `c${at % COLOURS}${at >= COLOURS ? ' dashed' : ''}`,
      hidden: at >= COLOURS,
    }));
  }

  const present = () => lines[state.group].filter((line) => line[state.unit]);
  const figure = (n) => (state.unit === 'bytes' ? bytes(n) : count(n));

  // The first point that is not before this time.
  function at(ms) {
    let [low, high] = [0, elapsed.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (elapsed[middle] < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function nearest(ms) {
    const index = at(ms);
    return index > 0 && ms - elapsed[index - 1] < elapsed[index] - ms ? index - 1 : index;
  }

  function render() {
    const width = isPrinting ? PRINT_WIDTH : Math.max(plot.clientWidth, 200);
    const height = width < 560 ? 240 : 340;
    const [from, to] = [Math.max(at(state.from) - 1, 0), Math.min(at(state.to) + 1, elapsed.length - 1)];
    const visible = present().filter((line) => !line.hidden);
    let most = 1;
    for (const line of visible) for (let i = from; i <= to; i += 1) most = Math.max(most, line[state.unit][i]);
    const step = niceStep(most);
    const top = Math.ceil(most / step) * step;
    frame = { left: 66, right: width - MARGIN, top: series.marks.length ? 8 + LANES * LANE_HEIGHT : 10, bottom: height - 26 };
    frame.x = (ms) => frame.left + ((ms - state.from) / (state.to - state.from)) * (frame.right - frame.left);
    frame.y = (n) => frame.bottom - (n / top) * (frame.bottom - frame.top);
    frame.ms = (x) => state.from + ((x - frame.left) / (frame.right - frame.left)) * (state.to - state.from);

    const svg = draw('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': summary(visible) });
    svg.append(draw('clipPath', { id: 'inside' }, draw('rect', { x: frame.left, y: 0, width: frame.right - frame.left, height })));
    for (let n = 0; n <= top; n += step) {
      const y = frame.y(n);
      svg.append(draw('line', { class: n === 0 ? 'axis' : 'grid', x1: frame.left, x2: frame.right, y1: y, y2: y }));
      svg.append(draw('text', { x: frame.left - 10, y: y + 4, 'text-anchor': 'end' }, n === 0 ? '0' : figure(n).replace('.0 ', ' ')));
    }
    drawTimes(svg);
    drawMarks(svg);
    const inside = draw('g', { 'clip-path': 'url(#inside)' });
    // The biggest on top.
    for (const line of [...visible].reverse()) {
      inside.append(draw('path', { class: `plotted ${line.class}`, 'data-name': line.name, d: path(line[state.unit], from, to) }));
    }
    overlay = draw('g');
    svg.append(inside, overlay);
    plot.replaceChildren(svg);
    reset.hidden = !isZoomed();
    readOut();
  }

  const isZoomed = () => state.from > first || state.to < last;

  function niceStep(most) {
    if (state.unit === 'bytes') return Math.max(1, 2 ** Math.ceil(Math.log2(most / 5)));
    const power = 10 ** Math.floor(Math.log10(Math.max(most / 5, 1)));
    return [1, 2, 5, 10].map((digit) => digit * power).find((candidate) => most / candidate <= 5);
  }

  // Where there are more points than pixels, the least and the greatest of each pixel stand for them.
  function path(values, from, to) {
    const point = (i) => `${frame.x(elapsed[i]).toFixed(1)},${frame.y(values[i]).toFixed(1)}`;
    if (to - from < 2 * (frame.right - frame.left)) {
      const points = [];
      for (let i = from; i <= to; i += 1) points.push(point(i));
      return `M${points.join('L')}`;
    }
    const points = [point(from)];
    let [pixel, least, greatest] = [Math.floor(frame.x(elapsed[from])), from, from];
    for (let i = from + 1; i <= to + 1; i += 1) {
      const here = i > to ? NaN : Math.floor(frame.x(elapsed[i]));
      if (here !== pixel) {
        points.push(...(least < greatest ? [least, greatest] : least > greatest ? [greatest, least] : [least]).map(point));
        [pixel, least, greatest] = [here, i, i];
      } else {
        if (values[i] < values[least]) least = i;
        if (values[i] > values[greatest]) greatest = i;
      }
    }
    points.push(point(to));
    return `M${points.join('L')}`;
  }

  // At round times of the clock, in UTC.
  function drawTimes(svg) {
    const start = series.time_ms[0] - first;
    const room = Math.max(2, Math.floor((frame.right - frame.left) / 76));
    const step = (X_STEPS_S.find((s) => (state.to - state.from) / 1000 / s <= room) ?? (state.to - state.from) / 1000 / room) * 1000;
    const shown = step < 60000 ? 8 : 5;
    const round = Math.ceil((start + state.from) / step) * step;
    // Where the next label may begin.
    let free = 0;
    for (let time = round; time <= start + state.to; time += step) {
      const x = frame.x(time - start);
      const label = step < 1000 ? new Date(time).toISOString().slice(17, 21) : clock(time).slice(0, shown);
      svg.append(draw('line', { class: 'axis', x1: x, x2: x, y1: frame.bottom, y2: frame.bottom + 5 }));
      const half = (label.length * LETTER) / 2;
      const middle = Math.min(x, frame.right + MARGIN - half);
      if (middle - half < free) continue;
      svg.append(draw('text', { x: middle, y: frame.bottom + 20, 'text-anchor': 'middle' }, label));
      free = middle + half + LETTER;
    }
  }

  // Labels take the first lane that is free; where none is, the line stands alone.
  function drawMarks(svg) {
    const ends = new Array(LANES).fill(0);
    for (const mark of series.marks) {
      if (mark.elapsed_ms < state.from || mark.elapsed_ms > state.to) continue;
      const x = frame.x(mark.elapsed_ms);
      const label = cut(mark.label, 40);
      const room = label.length * LETTER + 8;
      const start = x + room > frame.right ? x - room : x;
      const lane = ends.findIndex((end) => end <= start);
      const y = 12 + Math.max(lane, 0) * LANE_HEIGHT;
      svg.append(draw('line', { class: 'mark', x1: x, x2: x, y1: lane < 0 ? frame.top : y - 9, y2: frame.bottom }));
      if (lane < 0) continue;
      ends[lane] = start + room;
      svg.append(draw('text', { class: 'mark-label', x: start < x ? x - 5 : x + 5, y, 'text-anchor': start < x ? 'end' : 'start' }, label));
    }
  }

  function cut(text, most) {
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  }

  function summary(visible) {
    const end = at(state.to);
    const said = visible.slice(0, 5).map((line) => `${line.name} ${figure(line[state.unit][end])}`);
    return `Outstanding ${state.unit} at the end: ${said.join(', ')}`;
  }

  // The cursor, the selection, and the legend's figures at the cursor, or else at the end.
  function readOut() {
    overlay.replaceChildren();
    const index = state.cursor ?? at(state.to);
    if (state.drag) {
      const [a, b] = [state.drag.from, state.drag.to].sort((left, right) => left - right);
      overlay.append(draw('rect', { class: 'selection', x: a, width: b - a, y: frame.top, height: frame.bottom - frame.top }));
    }
    if (state.cursor !== null) {
      const x = frame.x(elapsed[index]);
      overlay.append(draw('line', { class: 'crosshair', x1: x, x2: x, y1: frame.top, y2: frame.bottom }));
      for (const line of present().filter((one) => !one.hidden)) {
        overlay.append(draw('circle', { class: `dot ${line.class}`, cx: x, cy: frame.y(line[state.unit][index]), r: 3.5 }));
      }
    }
    moment.textContent = `${clock(series.time_ms[index])} UTC, ${duration(elapsed[index])} after the start`;
    const values = legend.querySelectorAll('.value');
    present().forEach((line, i) => { if (values[i]) values[i].textContent = figure(line[state.unit][index]); });
  }

  function renderLegend() {
    legend.replaceChildren(...present().map((line) => {
      const button = make(
        'button',
        {
          type: 'button',
          'aria-pressed': String(!line.hidden),
          onclick: () => {
            line.hidden = !line.hidden;
            button.setAttribute('aria-pressed', !line.hidden);
            render();
          },
          onpointerenter: () => light(line.hidden ? null : line),
          onpointerleave: () => light(null),
        },
        make('span', { class: `swatch ${line.class}` }),
        make('span', { class: 'name', title: line.name }, line.name),
        make('span', { class: 'value num' }),
      );
      return make('li', {}, button);
    }));
  }

  // The others step back.
  function light(line) {
    for (const drawn of plot.querySelectorAll('.plotted')) {
      drawn.classList.toggle('dim', line !== null && drawn.dataset.name !== line.name);
    }
  }

  function zoom(from, to) {
    const least = Math.max((last - first) / Math.max(elapsed.length - 1, 1), 1) * 2;
    if (to - from < least) {
      const middle = (from + to) / 2;
      [from, to] = [middle - least / 2, middle + least / 2];
    }
    state.from = Math.max(first, from);
    state.to = Math.min(last, to);
    if (state.cursor !== null && (elapsed[state.cursor] < state.from || elapsed[state.cursor] > state.to)) state.cursor = null;
    render();
  }

  const showAll = () => zoom(first, last);

  function xOf(event) {
    const box = plot.getBoundingClientRect();
    const width = Math.max(plot.clientWidth, 200);
    const x = ((event.clientX - box.left) / box.width) * width;
    return Math.max(frame.left, Math.min(frame.right, x));
  }

  plot.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    plot.setPointerCapture(event.pointerId);
    state.drag = { from: xOf(event), to: xOf(event) };
  });
  plot.addEventListener('pointermove', (event) => {
    const x = xOf(event);
    if (state.drag) state.drag.to = x;
    state.cursor = nearest(frame.ms(x));
    readOut();
  });
  plot.addEventListener('pointerup', () => {
    const { drag } = state;
    state.drag = null;
    if (!drag) return;
    const [a, b] = [drag.from, drag.to].sort((left, right) => left - right);
    if (b - a > 4) zoom(frame.ms(a), frame.ms(b));
    else readOut();
  });
  plot.addEventListener('pointercancel', () => { state.drag = null; readOut(); });
  plot.addEventListener('pointerleave', () => { if (!state.drag) { state.cursor = null; readOut(); } });
  plot.addEventListener('blur', () => { state.cursor = null; readOut(); });
  plot.addEventListener('dblclick', showAll);
  reset.addEventListener('click', () => { showAll(); plot.focus(); });

  plot.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const cursor = state.cursor ?? at(state.to);
    const [start, end] = [at(state.from), nearest(state.to)];
    const move = (index) => { state.cursor = Math.max(start, Math.min(end, index)); readOut(); };
    const scaled = (factor) => {
      const middle = state.cursor === null ? (state.from + state.to) / 2 : elapsed[state.cursor];
      const half = ((state.to - state.from) * factor) / 2;
      zoom(middle - half, middle + half);
    };
    const keys = {
      ArrowLeft: () => move(cursor - (event.shiftKey ? 10 : 1)),
      ArrowRight: () => move(cursor + (event.shiftKey ? 10 : 1)),
      Home: () => move(start),
      End: () => move(end),
      '+': () => scaled(0.5),
      '=': () => scaled(0.5),
      '-': () => scaled(2),
      Escape: showAll,
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  choice(section, 'data-lines', state.group, (group) => { state.group = group; renderLegend(); render(); });
  choice(section, 'data-unit', state.unit, (unit) => { state.unit = unit; renderLegend(); render(); });
  section.querySelector('[data-lines]').parentElement.hidden = !series.rows.length || !series.caches.length;
  section.hidden = false;
  renderLegend();
  render();
  for (const when of ['beforeprint', 'afterprint']) {
    window.addEventListener(when, () => {
      isPrinting = when === 'beforeprint';
      render();
    });
  }
  onResize(plot, render);
}

