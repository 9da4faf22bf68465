// The nodes: a tile each, and all that is known of one.

const nodes = (() => {
  const [place, one] = [find('nodes'), find('node')];
  let chosen = null;
  let picked = false;
  // Beyond so many a tile has no words.
  const MANY = 32;

  // The sign, the word and the colour of a node: the first of these that is true of it.
  function look(node, doing, last) {
    // Of a history there is no more than the states that were about it.
    if (node.ecs === undefined) {
      if (doing) return ['◔', doing, 'busy'];
      return last === 'QuarantineInstance' ? ['✕', 'quarantined', 'bad'] : ['○', `after ${last}`, ''];
    }
    if (node.status === 'QUARANTINED') return ['✕', 'quarantined', 'bad'];
    if (!node.up) return ['↻', 'host is down', 'warn'];
    if (node.status === 'REBOOTING') return ['↻', 'rebooting', 'warn'];
    if (node.status === 'PENDING_HEALTHCHECK') return ['◔', 'checking', 'busy'];
    if (!node.agent) return ['◌', 'agent away', 'warn'];
    if (node.ecs !== 'ACTIVE') return ['◐', node.ecs.toLowerCase(), 'warn'];
    if (node.gpu !== 'healthy') return ['▲', 'bad GPU', 'warn'];
    if (node.tasks) return ['●', 'in use', 'good'];
    if (node.spare) return ['◇', 'spare', ''];
    return node.job ? ['○', 'idle', ''] : ['○', 'free', ''];
  }

  function draw(view) {
    const { scene, execution, now } = view;
    const doing = new Map();
    const last = new Map();
    for (const visit of visits(execution, now)) {
      if (!visit.n) continue;
      doing.set(visit.n, visit.now === 'running' ? visit.s : undefined);
      last.set(visit.n, visit.s);
    }
    const known = scene.nodes ?? Object.fromEntries([...last.keys()].map((id) => [id, {}]));
    const all = Object.keys(known).sort().map((id, number) => {
      const [sign, word, colour] = look(known[id], doing.get(id), last.get(id));
      return { id, number, node: known[id], sign, word, colour, doing: doing.get(id) };
    });
    place.classList.toggle('many', all.length > MANY);
    place.style.setProperty('--tile', all.length > MANY ? '3.9rem' : '8.5rem');
    // Until somebody chooses, the node with the trouble is shown.
    const trouble = all.find((n) => n.colour === 'bad') ?? all.find((n) => n.colour === 'warn') ?? all.find((n) => n.colour === 'busy');
    if (!picked && trouble) chosen = trouble.id;
    if (!all.some((n) => n.id === chosen)) chosen = all[0]?.id ?? null;
    keep(place, all, (n) => n.id, make, (tile, n) => {
      const state = `${n.sign} ${n.word} ${n.colour} ${n.id === chosen}`;
      if (tile.dataset.look === state) return;
      tile.dataset.look = state;
      tile.className = `tile ${n.colour}`;
      say(tile.children[1], n.sign);
      say(tile.children[2], n.word);
      tile.setAttribute('aria-pressed', n.id === chosen);
      tile.tabIndex = n.id === chosen ? 0 : -1;
      tile.title = `${n.id}: ${n.word}`;
    });
    const sums = new Map();
    for (const { sign, word } of all) sums.set(`${sign} ${word}`, (sums.get(`${sign} ${word}`) ?? 0) + 1);
    say(find('nodes-sum'), [...sums].map(([look, number]) => look.replace(' ', ` ${number} `)).join(', '));
    detail(all.find((n) => n.id === chosen), view);
  }

  function make(n) {
    return element('button', { type: 'button', onclick: () => choose(n.id) }, element('b', {}, n.number), element('i', { 'aria-hidden': 'true' }), element('span'), element('em', { class: 'unseen' }, ` ${n.id}`));
  }

  function choose(id) {
    chosen = id;
    picked = true;
    redraw();
  }

  place.addEventListener('keydown', (event) => {
    const tiles = [...place.children];
    const here = tiles.indexOf(document.activeElement);
    if (here < 0) return;
    const across = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, Home: -here, End: tiles.length - 1 - here }[event.key];
    const to = tiles[here + by];
    if (by === undefined || !to) return;
    event.preventDefault();
    choose(to.dataset.key);
    to.focus();
  });

  function detail(n, { scene, execution, now }) {
    if (!n) return one.replaceChildren(element('p', { class: 'quiet' }, 'No node is known.'));
    const { node } = n;
    const ranks = Object.entries(scene.jobs ?? {}).flatMap(([job, { attempt, attempts }]) => Object.entries(attempts[attempt] ?? {})
      .filter(([, rank]) => rank.node === n.id)
      .map(([rank, { status }]) => `rank ${rank} of ${job}, ${status.toLowerCase()}`));
    const facts = [
      ['Now', n.doing ? `in ${n.doing}` : n.word],
      ['Rank', ranks.join('; ').replaceAll('rank ', '')],
      ['ECS', node.ecs && `${node.ecs}, agent ${node.agent ? 'connected' : 'away'}`],
      ['Host', node.ecs && `${node.up ? 'up' : 'down'}, ${counted(node.reboots, 'reboot')}`],
      ['Record', node.status && `${node.status}${node.held ? ', held by a recovery' : ''}`],
      ['Last verdict', node.verdict],
      ['GPUs, in truth', node.gpu],
      ['Quarantined', node.quarantine],
      ['Spare of the pool', node.spare],
    ].filter(([, value]) => value);
    const words = JSON.stringify([n.id, facts]);
    if (one.dataset.look === words) return;
    one.dataset.look = words;
    const list = element('dl', { class: 'facts' }, ...facts.map(([name, value]) => element('div', {}, element('dt', {}, `${name}: `), element('dd', {}, value))));
    one.replaceChildren(element('h3', {}, `${n.number} · ${n.id}`), list);
  }

  return { draw, chosen: () => chosen };
})();
