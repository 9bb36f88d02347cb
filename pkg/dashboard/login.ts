const KEY = 'tidegate.token';

/** The reader's token, for a server that requires one. It is kept as long as this tab is open, and nowhere else. */
export class Login {
  readonly #section = byId('login');
  readonly #input = byId<HTMLInputElement>('token');
  readonly #problem = byId('login-problem');
  readonly #forget = byId('forget-token');
  #token = stored();

  /** Calls `changed` when the token has changed or was removed. */
  constructor(changed: () => void) {
    this.#forget.hidden = this.#token === undefined;
    byId('login-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const token = this.#input.value.trim();
      if (token !== '') {
        this.#set(token);
        this.#problem.textContent = '';
        changed();
      }
    });
    this.#forget.addEventListener('click', () => {
      this.#set(undefined);
      changed();
    });
  }

  get token(): string | undefined {
    return this.#token;
  }

  /** Whether a token is being asked for. */
  get isAsking(): boolean {
    return !this.#section.hidden;
  }

  /** Asks for a token, and says what is wrong with the previous one, if anything. */
  ask(problem: string): void {
    this.#set(undefined);
    this.#problem.textContent = problem;
    this.#show(true);
    this.#input.value = '';
    this.#input.focus();
  }

  /** The server accepts the token. */
  done(): void {
    this.#show(false);
    this.#input.value = '';
  }

  #show(isAsking: boolean): void {
    this.#section.hidden = !isAsking;
    document.body.classList.toggle('asking', isAsking);
  }

  #set(token: string | undefined): void {
    this.#token = token;
    this.#forget.hidden = token === undefined;
    try {
      if (token === undefined) {
        sessionStorage.removeItem(KEY);
      } else {
        sessionStorage.setItem(KEY, token);
      }
    } catch {
      // If storage is forbidden, the token lasts until the page is reloaded.
    }
  }
}

function stored(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}
