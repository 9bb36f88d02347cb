import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { packageRoot } from './server.js';

/** A piece of code in the package's README. */
export interface Example {
  readonly language: string;
  readonly code: string;
}

/** The pieces of code in the package's README, in their order. */
export async function readExamples(): Promise<Example[]> {
  const text = await readFile(join(packageRoot, 'README.md'), 'utf8');
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, code]) => ({
    language: language!,
    code: code!,
  }));
}
