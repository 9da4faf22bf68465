// Draws all of it for one moment, at most once a frame of the screen.

let wanted = false;

function redraw() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => {
    wanted = false;
    draw();
  });
}

const choice = find('execution');
let preferred = null;
choice.addEventListener('change', () => {
  preferred = choice.value;
  redraw();
});

// The recovery that is shown: the one that was chosen, else the newest that does something, else the last that did.
function shown(executions, now) {
  const begun = Object.entries(executions).filter(([, e]) => e.began <= now);
  const newest = begun.toSorted((one, other) => one[1].began - other[1].began);
  const running = newest.filter(([, e]) => e.ended === undefined || e.ended > now);
  const [name] = newest.find(([name]) => name === preferred) ?? running.at(-1) ?? newest.at(-1) ?? [];
  find('choice').hidden = newest.length < 2;
  keep(choice, newest.map(([name, e]) => ({ name, e })), (o) => o.name, () => element('option'), (option, { name, e }) => {
    option.value = name;
    say(option, `${clock(e.began)} ${e.job ?? ''} ${now < (e.ended ?? Infinity) ? 'RUNNING' : e.status}`);
  });
  if (name && document.activeElement !== choice) choice.value = name;
  return executions[name];
}

function draw() {
  const now = time.now();
  const scene = film.live ? live.scene : player.at(now);
  const execution = shown(scene.executions ?? {}, now);
  const view = { scene, execution, now, end: film.live ? undefined : film.end };
  say(find('clock'), clock(now));
  find('clock').dateTime = new Date((film.start + now) * 1000).toISOString();
  say(find('since'), mark(now));
  const over = execution && execution.ended !== undefined && execution.ended <= now;
  const job = execution?.job ? ` of job ${execution.job}` : '';
  say(find('headline'), !execution ? 'All is well' : over ? execution.headline : `Recovery${job}: under way`);
  say(find('ending'), !execution ? 'No recovery is going on.' : over ? execution.ending : `It is under way for ${span(now - execution.began)}.`);
  time.draw();
  for (const part of [graph, timeline, nodes, jobs, told]) part.draw(view);
}

say(find('title'), film.title);
say(find('about'), film.about ?? '');
say(find('footer'), film.footer ?? '');
if (film.now) {
  find('records-card').hidden = false;
  say(find('h-records'), `What the records said at ${film.now.at}`);
  find('records').append(...film.now.sentences.map((sentence) => element('li', {}, sentence)));
}
new ResizeObserver(([{ target }]) => document.documentElement.style.setProperty('--below', `${target.offsetHeight + 16}px`)).observe(document.querySelector('.top'));
deeds.begin();
time.begin();
