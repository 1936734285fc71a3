/**
 * The contract of a store: what every one of them must do, in chapters. `memory.test.ts` and `duckdb.test.ts` run it;
 * a new store adds a file of a few lines.
 */
import { describe } from 'vitest';
import { correctionsChapter } from './corrections.ts';
import { durabilityChapter } from './durability.ts';
import { filesChapter } from './files.ts';
import type { StoreUnderTest } from './harness.ts';
import { questionsChapter } from './questions.ts';
import { randomChapter } from './random.ts';
import { rejectsChapter } from './rejects.ts';
import { retentionChapter } from './retention.ts';
import { valuesChapter } from './values.ts';
import { verdictsChapter } from './verdicts.ts';

export function storeContract(under: StoreUnderTest): void {
  describe(`${under.name} store`, () => {
    valuesChapter(under);
    verdictsChapter(under);
    correctionsChapter(under);
    questionsChapter(under);
    rejectsChapter(under);
    retentionChapter(under);
    durabilityChapter(under);
    filesChapter(under);
    randomChapter(under);
  });
}
