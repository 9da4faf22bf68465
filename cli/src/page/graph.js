// The picture of the state machine, with the path of one recovery laid over it.

const graph = (() => {
  const frame = find('graph');
  const picture = frame.querySelector('svg');
  const states = new Map([...picture.querySelectorAll('g[data-state]')].map((state) => [state.dataset.state, state]));
  const ways = [...picture.querySelectorAll('g.edge[data-from]')];
  const width = Number(picture.getAttribute('width'));
  const weight = ['succeeded', 'caught', 'running', 'aborted', 'timed-out', 'failed'];
  const signs = { succeeded: '✓', caught: '!', running: '…', aborted: '■', 'timed-out': '⏱', failed: '✗' };
  let shown = '';
  let last = '';
  let scale = 0;
  picture.removeAttribute('height');

  function size() {
    // At first as wide as its frame, but not so small that nobody could read it.
    const fit = Math.max(0.62, Math.min(1, (frame.clientWidth - 4) / width));
    picture.setAttribute('width', Math.round(width * (scale || fit)));
  }
  const zoom = (by) => () => {
    scale = Math.max(0.25, Math.min(2, (Number(picture.getAttribute('width')) / width) * by));
    size();
  };
  find('larger').addEventListener('click', zoom(1.25));
  find('smaller').addEventListener('click', zoom(0.8));
  addEventListener('resize', size);
  size();
  centre(picture.querySelector('.end'), 'instant');

  // How it came out, how often and how long: on the upper right corner of the box.
  function pill(state, text) {
    let made = state.querySelector(':scope > .pill');
    if (!text) return made?.remove();
    if (made?.dataset.text === text) return;
    made?.remove();
    made = drawn('g', { class: 'pill' });
    made.dataset.text = text;
    const [plate, words] = [drawn('rect'), drawn('text')];
    words.textContent = text;
    made.append(plate, words);
    state.append(made);
    const box = state.querySelector('.box, .choice, .map').getBBox();
    const room = words.getComputedTextLength() + 14;
    const [x, y] = [box.x + box.width - room + 6, box.y - 13];
    for (const [name, value] of Object.entries({ x, y, width: room, height: 17, rx: 8.5 })) plate.setAttribute(name, value);
    words.setAttribute('x', x + 7);
    words.setAttribute('y', y + 12.5);
  }

  function follow(name) {
    const state = states.get(name);
    if (!state || !find('follow').checked || name === last) return;
    last = name;
    centre(state, matchMedia('(prefers-reduced-motion: reduce)').matches ? 'instant' : 'smooth');
  }

  function centre(part, behavior) {
    const [box, view] = [part.getBoundingClientRect(), frame.getBoundingClientRect()];
    frame.scrollTo({
      left: frame.scrollLeft + box.left - view.left - (view.width - box.width) / 2,
      top: frame.scrollTop + box.top - view.top - view.height * 0.35,
      behavior,
    });
  }

  function draw({ execution, now }) {
    const seen = visits(execution, now);
    const sums = new Map();
    for (const visit of seen) {
      const sum = sums.get(visit.s) ?? { status: visit.now, times: 0, from: [], standing: 0 };
      if (weight.indexOf(visit.now) > weight.indexOf(sum.status)) sum.status = visit.now;
      sum.times += 1;
      sum.standing += visit.now === 'running';
      sum.from.push([visit.a, visit.to]);
      sums.set(visit.s, sum);
    }
    const taken = new Set(seen.filter((visit) => visit.f).map((visit) => `${visit.f}\n${visit.s}`));
    // Seconds that go by in a state change its label only.
    const look = JSON.stringify([[...sums].map(([name, sum]) => [name, sum.status, sum.times, sum.standing]), execution?.began, Math.floor(now)]);
    if (look === shown) return;
    shown = look;
    frame.classList.toggle('played', sums.size > 0);
    for (const [name, state] of states) {
      const sum = sums.get(name);
      if (sum) state.dataset.status = sum.status;
      else delete state.dataset.status;
      pill(state, sum && label(sum));
    }
    for (const way of ways) way.toggleAttribute('data-taken', taken.has(`${way.dataset.from}\n${way.dataset.to}`));
    const standing = seen.filter((visit) => visit.now === 'running');
    const inner = standing.filter((visit) => !standing.some((other) => other !== visit && other.m !== undefined && execution.visits[other.m]?.s === visit.s));
    const names = [...new Set(inner.map((visit) => visit.s))];
    say(find('standing'), names.length ? `It stands in ${names.join(', ')}.` : sums.size ? 'It has ended.' : 'No recovery yet.');
    const newest = inner.at(-1) ?? seen.at(-1);
    if (newest) follow(newest.s);
    else last = '';
  }

  function label(sum) {
    const parts = [signs[sum.status]];
    if (sum.times > 1) parts.push(`${sum.times}×`);
    const time = together(sum.from);
    if (time >= 1) parts.push(span(time));
    return parts.join(' ');
  }

  // The seconds in which at least one of them lasted: items of a Map go on side by side.
  function together(times) {
    let [sum, reached] = [0, -Infinity];
    for (const [from, to] of times.sort((one, other) => one[0] - other[0])) {
      sum += Math.max(0, to - Math.max(from, reached));
      reached = Math.max(reached, to);
    }
    return sum;
  }

  return { draw };
})();
