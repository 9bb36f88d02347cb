/** The progress of a piece of work that many do together, as a component sees it. */

import type { TidegateError } from '../errors.js';
import { readWork, type Work } from '../progress/work.js';
import { type WorkNouns, type WorkTexts, type WorkWords, workTexts } from '../progress/work-text.js';
import type { Duration, EndReason } from '../types.js';
import type { TopicState } from './topic-store.js';

/**
 * Options of `useProgress`. Nouns are compared by content, but words by identity: define them outside the component.
 */
export interface UseProgressOptions {
  /** The shortest time between two renderings. Default: `'200ms'`. */
  readonly throttle?: Duration | undefined;
  /** The words for the work. */
  readonly nouns?: WorkNouns | undefined;
  /** Sentences that replace the default ones. */
  readonly words?: Partial<WorkWords> | undefined;
  /** The language, such as `de`. Default: that of the document. */
  readonly language?: string | undefined;
}

/**
 * The progress of a piece of work, in numbers and in texts. It is the same object until something changes. Both are
 * undefined until the first update arrives, and if something else was published to the topic.
 */
export interface ProgressState {
  /** The status of the topic. */
  readonly status: TopicState['status'];
  /** The progress in numbers. */
  readonly work: Work | undefined;
  /** The progress in texts, for people. */
  readonly texts: WorkTexts | undefined;
  /** How the work ended. */
  readonly end: EndReason | undefined;
  /** Why the subscription failed. */
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
