// What was told: the story of the recovery, and the messages as the operators got them.

const told = (() => {
  const [story, messages] = [find('story'), find('messages')];
  let announced = '';

  function draw({ scene, execution, now }) {
    const moments = (execution?.story ?? []).filter(([at]) => at <= now).map(([at, sentence], number) => ({ at, sentence, number }));
    const stays = story.scrollHeight - story.scrollTop - story.clientHeight < 40;
    keep(story, moments, (m) => m.number, () => element('li', {}, element('time'), element('span')), (line, m) => {
      say(line.firstElementChild, clock(m.at));
      say(line.lastElementChild, m.sentence);
    });
    if (stays) story.scrollTop = story.scrollHeight;
    const last = moments.at(-1)?.sentence ?? '';
    if (film.live && last !== announced) say(find('announce'), last);
    announced = last;

    find('messages-card').hidden = !scene.messages;
    const got = Object.entries(scene.messages ?? {}).filter(([, m]) => m.at - film.start <= now).map(([number, m]) => ({ number, ...m })).reverse();
    const none = got.length ? [] : [{ number: 'none' }];
    keep(messages, [...got, ...none], (m) => m.number, (m) => {
      if (!m.message) return element('p', { class: 'quiet' }, 'Nobody was told anything yet.');
      const summary = element('summary', {}, element('time', { class: 'quiet' }, clock(m.at - film.start)), ` ${m.subject}`);
      return element('details', { open: m === got[0] }, summary, element('pre', { tabindex: '0', 'aria-label': 'Text of the message' }, m.message));
    }, () => {});

    const quiet = Object.entries(scene.quiet ?? {});
    const sum = quiet.reduce((all, [, number]) => all + number, 0);
    say(find('quiet'), sum ? `Beside these, ${counted(sum, 'execution')} found nothing to do: ${quiet.map(([kind, n]) => `${n} ${kind}`).join(', ')}.` : '');
  }

  return { draw };
})();
