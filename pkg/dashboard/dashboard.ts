/** The page that a Tidegate server shows at `/`: every job, live. Built on the npm package like any page. */

import { connect, type TideState } from 'tidegate';
import { readJob } from 'tidegate/progress';

import { Board } from './board.js';

/** Hundreds of jobs may publish hundreds of times a second; a page is read a few times a second. */
const PACE = '200ms';

/** How long a connected page waits for jobs before it says that there are none, in milliseconds. */
const EMPTY_AFTER_MS = 400;

const STATE_TEXTS: Readonly<Record<TideState['status'], string>> = {
  disconnected: 'Reconnecting',
  connecting: 'Connecting',
  connected: 'Live',
  stale: 'Server out of touch',
  closed: 'Disconnected',
};

const board = new Board();
const tide = connect(new URL('.', location.href), { tabs: 'off' });

tide.subscribe('job:**', { throttle: PACE, onError: showProblem }, (update) =>
  board.put(readJob(update, performance.now())),
);
tide.on('state', showState);
showState(tide.state);
explainHowToStart();

function showState(state: TideState): void {
  const pill = document.getElementById('connection')!;
  pill.dataset['status'] = state.status;
  document.getElementById('connection-text')!.textContent = STATE_TEXTS[state.status];
  const isLive = state.status === 'connected';
  board.setLive(isLive);
  if (isLive || state.status !== 'connecting') {
    // An attempt to reconnect leaves the page as it is: nothing flickers.
    document.body.classList.toggle('stale', !isLive);
  }
  if (isLive) {
    setTimeout(() => board.showEmpty(), EMPTY_AFTER_MS);
  }
}

function showProblem(error: Error): void {
  document.getElementById('connection')!.dataset['status'] = 'closed';
  document.getElementById('connection-text')!.textContent = error.message;
}

function explainHowToStart(): void {
  const isDefault = location.port === '8420' && ['127.0.0.1', 'localhost'].includes(location.hostname);
  const server = isDefault ? '' : ` --server ${location.origin}`;
  document.getElementById('sample-run')!.textContent = `tidegate run${server} -- make`;
  document.getElementById('sample-publish')!.textContent =
    `curl -X POST ${location.origin}/publish -d '{"topic":"job:hello","data":{"name":"hello","progress":0.5}}'`;
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-copy]')) {
    button.addEventListener('click', () => copy(button));
  }
}

async function copy(button: HTMLButtonElement): Promise<void> {
  const code = document.getElementById(button.dataset['copy']!)!;
  try {
    await navigator.clipboard.writeText(code.textContent ?? '');
    button.textContent = 'Copied';
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 1_500);
  } catch {
    // Without the clipboard (a page over plain HTTP on another machine) the text is selected for the reader.
    getSelection()?.selectAllChildren(code);
  }
}
