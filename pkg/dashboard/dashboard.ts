/** The page that a Tidegate server shows at `/`: every job, live. It uses the npm package as any page would. */

import { connect, type Tide, type TidegateError, type TideState } from 'tidegate';
import { readJob } from 'tidegate/progress';

import { Board } from './board.js';
import { Login } from './login.js';
import { Throughput } from './throughput.js';

/** Hundreds of jobs may publish hundreds of times a second; nobody reads that fast. */
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

/** The topics that this page follows: all jobs, or the pattern `?topic=` of its address. */
const FOLLOWED = new URLSearchParams(location.search).get('topic') ?? 'job:**';

/** Whether that is a single topic. */
const IS_ONE = !FOLLOWED.includes('*');

const board = new Board();
const login = new Login(reopen);
const throughput = new Throughput(() => login.token);
let tide: Tide | undefined;

open();
explainHowToStart();

/** Starts over for another reader. */
function reopen(): void {
  board.clear();
  throughput.restart();
  open();
}

/** Connects with the reader's token, if there is one. */
function open(): void {
  tide?.close();
  const { token } = login;
  const opened = connect(new URL('.', location.href), {
    tabs: 'off',
    ...(token === undefined ? {} : { token }),
  });
  tide = opened;
  const ifCurrent = (act: () => void): void => {
    if (tide === opened) {
      act();
    }
  };
  const onError = (error: Error): void => ifCurrent(() => showProblem(error as TidegateError));
  opened.subscribe(FOLLOWED, { throttle: PACE, onError, onReset: (at) => board.forget(at) }, (update) => {
    const context = { now: Date.now(), before: board.job(update.topic) };
    board.put(readJob(update, performance.now(), context));
    throughput.put(update, IS_ONE);
  });
  opened.on('state', (state) => ifCurrent(() => showState(state)));
  showState(opened.state);
}

function showState(state: TideState): void {
  const pill = document.getElementById('connection')!;
  pill.dataset['status'] = state.status;
  document.getElementById('connection-text')!.textContent = STATE_TEXTS[state.status];
  const isLive = state.status === 'connected';
  board.setLive(isLive);
  if (isLive || state.status !== 'connecting') {
    // Not while it is reconnecting, so that nothing flickers.
    document.body.classList.toggle('stale', !isLive);
  }
  if (isLive) {
    login.done();
    setTimeout(() => {
      if (!login.isAsking) {
        board.showEmpty();
      }
    }, EMPTY_AFTER_MS);
  }
}

function showProblem(error: TidegateError): void {
  const complaint = complaintAboutToken(error);
  document.getElementById('connection')!.dataset['status'] = 'closed';
  document.getElementById('connection-text')!.textContent =
    complaint === undefined ? error.message : 'Token needed';
  if (complaint !== undefined) {
    const refused = tide;
    tide = undefined;
    refused?.close();
    if (error.code !== 'token_expired') {
      board.clear();
    }
    login.ask(complaint);
  }
}

/** What is wrong with the reader's token; undefined if the error is about something else. */
function complaintAboutToken(error: TidegateError): string | undefined {
  switch (error.code) {
    case 'unauthorized':
      return login.token === undefined ? '' : `The server does not accept this token: ${error.message}.`;
    case 'token_expired':
      return 'This token has expired. Paste a new one.';
    case 'forbidden':
      return login.token === undefined ? undefined : `This token is good, but may not follow ${FOLLOWED}.`;
    default:
      return undefined;
  }
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
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = 'Copied';
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 1_500);
  } catch {
    // Without a clipboard (a page over plain HTTP from another machine), the text is selected instead.
    getSelection()?.selectAllChildren(code);
  }
}
