// Time: of a film a slider, of a sandbox its pace.

const time = (() => {
  const place = find('time');
  const signs = {
    Play: 'M4 2l10 6-10 6z',
    Pause: 'M3 2h4v12H3zM9 2h4v12H9z',
    'Previous event': 'M2 2h2v12H2zM14 2v12L5 8z',
    'Next event': 'M12 2h2v12h-2zM2 2v12l9-6z',
    Step: 'M12 2h2v12h-2zM2 2v12l9-6z',
  };
  const button = (name, act) => named(element('button', { type: 'button', onclick: act }), name);

  // A button with a sign, which its name tells.
  function named(made, name) {
    if (made.title === name) return made;
    made.title = name;
    made.setAttribute('aria-label', name);
    const sign = drawn('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true' });
    sign.append(drawn('path', { d: signs[name] }));
    made.replaceChildren(sign);
    return made;
  }

  function ofFilm() {
    let [now, speed, playing, last] = [film.end, 60, false, 0];
    const slider = element('input', { type: 'range', min: 0, max: Math.ceil(film.end), step: 1, value: Math.ceil(film.end), 'aria-label': 'Time' });
    const play = button('Play', () => (playing ? stop() : start()));
    const pace = element('select', { 'aria-label': 'Speed' }, ...[10, 60, 300].map((n) => element('option', { value: n, selected: n === speed }, `${n}×`)));
    // Where something happens: frames, and states that are entered.
    const marks = [...new Set([0, ...film.frames.map(([at]) => at), ...Object.values(film.scene.executions).flatMap((e) => Object.values(e.visits).map((v) => v.a)), film.end])].sort((a, b) => a - b);
    const jump = (by) => () => {
      stop();
      set((by > 0 ? marks.find((at) => at > now + 0.0005) : marks.findLast((at) => at < now - 0.0005)) ?? now);
    };
    function set(to) {
      now = Math.max(0, Math.min(film.end, to));
      slider.value = now;
      slider.setAttribute('aria-valuetext', `${clock(now)} UTC, ${mark(now)}`);
      redraw();
    }
    function start() {
      playing = true;
      if (now >= film.end) set(0);
      last = performance.now();
      named(play, 'Pause');
      requestAnimationFrame(step);
    }
    function stop() {
      playing = false;
      named(play, 'Play');
    }
    function step(at) {
      if (!playing) return;
      set(now + ((at - last) / 1000) * speed);
      last = at;
      if (now >= film.end) stop();
      else requestAnimationFrame(step);
    }
    slider.addEventListener('input', () => {
      stop();
      set(Number(slider.value));
    });
    pace.addEventListener('change', () => (speed = Number(pace.value)));
    place.classList.add('file');
    place.append(play, button('Previous event', jump(-1)), slider, button('Next event', jump(1)), pace);
    return { now: () => now, begin: () => set(film.end), draw() {} };
  }

  function ofSandbox() {
    const play = button('Pause', () => post('time', live.time.paused ? { turn: 'go', speed: null } : { turn: 'pause' }));
    const pace = element('select', { 'aria-label': 'Speed' }, ...[1, 10, 60, 600, 3600].map((n) => element('option', { value: n }, n === 1 ? 'real time' : `${n}×`)));
    const away = element('span', { class: 'pill-word bad', role: 'status', hidden: true }, 'the sandbox is away');
    pace.addEventListener('change', () => post('time', { turn: 'go', speed: Number(pace.value) }));
    const pass = element('button', { type: 'button', onclick: () => post('time', { turn: 'pass', seconds: 600 }) }, '+10 min');
    place.append(away, play, button('Step', () => post('time', { turn: 'step' })), pace, pass);
    return {
      now: () => live.time.now,
      begin: () => live.follow(),
      draw() {
        away.hidden = live.here;
        named(play, live.time.paused ? 'Play' : 'Pause');
        if (document.activeElement === pace) return;
        const speed = String(live.time.speed);
        if (![...pace.options].some((option) => option.value === speed)) pace.append(element('option', { value: speed }, `${speed}×`));
        pace.value = speed;
      },
    };
  }

  return film.live ? ofSandbox() : ofFilm();
})();
