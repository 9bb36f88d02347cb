/** What a component is shown of a piece of work that many do together. */

import type { TidegateError } from '../errors.js';
import { readWork, type Work } from '../progress/work.js';
import { type WorkNouns, type WorkTexts, type WorkWords, workTexts } from '../progress/work-text.js';
import type { Duration, EndReason } from '../types.js';
import type { TopicState } from './topic-store.js';

/** Options of `useProgress`. Nouns are compared by their content, words by what they are: keep them outside of the component. */
export interface UseProgressOptions {
  /** How often the component is drawn at most. Default: `'200ms'`. */
  readonly throttle?: Duration | undefined;
  /** What the work is called. */
  readonly nouns?: WorkNouns | undefined;
  /** Sentences other than the default ones. */
  readonly words?: Partial<WorkWords> | undefined;
  /** A language, such as `de`. Default: that of the document. */
  readonly language?: string | undefined;
}

/**
 * How far a piece of work has come, in numbers and in texts. The same object until something changes. Both are undefined until
 * the first update has come, and where something else is published on the topic.
 */
export interface ProgressState {
  /** How things stand with the topic. */
  readonly status: TopicState['status'];
  /** In numbers. */
  readonly work: Work | undefined;
  /** In texts, as people read them. */
  readonly texts: WorkTexts | undefined;
  /** How the work ended. */
  readonly end: EndReason | undefined;
  /** Why it can't be watched. */
  readonly error: TidegateError | undefined;
}

/** @internal */
export function progressState(
  { status, data, end, error }: TopicState,
  { nouns, words, language = globalThis.document?.documentElement.lang }: UseProgressOptions,
): ProgressState {
  const work = readWork(data);
  const texts =
    work &&
    workTexts(work, {
      ...(nouns === undefined ? {} : { nouns }),
      ...(words === undefined ? {} : { words }),
      ...(language === undefined ? {} : { language }),
    });
  return { status, work, texts, end, error };
}
