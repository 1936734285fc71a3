/**
 * The contract of a store: what every one of them must do, in chapters. `memory.test.ts` and `duckdb.test.ts` run it;
 * a new store adds a file of a few lines.
 */
import { describe } from 'vitest';
import { bucketsChapter } from './buckets.ts';
import { checksChapter } from './checks.ts';
import { correctionsChapter } from './corrections.ts';
import { durabilityChapter } from './durability.ts';
import { fewKeysChapter } from './few-keys.ts';
import { fieldNamesChapter } from './field-names.ts';
import { filesChapter } from './files.ts';
import { formsChapter } from './forms.ts';
import type { StoreUnderTest } from './harness.ts';
import { importsChapter } from './imports.ts';
import { questionsChapter } from './questions.ts';
import { randomChapter } from './random.ts';
import { rejectsChapter } from './rejects.ts';
import { retentionChapter } from './retention.ts';
import { sequencesChapter } from './sequences.ts';
import { sharesChapter } from './shares.ts';
import { spoiltValuesChapter } from './spoilt-values.ts';
import { sumsChapter } from './sums.ts';
import { touchedChapter } from './touched.ts';
import { valuesChapter } from './values.ts';
import { verdictsChapter } from './verdicts.ts';
import { warningsChapter } from './warnings.ts';

export function storeContract(under: StoreUnderTest): void {
  describe(`${under.name} store`, () => {
    valuesChapter(under);
    spoiltValuesChapter(under);
    fieldNamesChapter(under);
    sequencesChapter(under);
    verdictsChapter(under);
    correctionsChapter(under);
    questionsChapter(under);
    fewKeysChapter(under);
    bucketsChapter(under);
    touchedChapter(under);
    rejectsChapter(under);
    checksChapter(under);
    retentionChapter(under);
    durabilityChapter(under);
    filesChapter(under);
    formsChapter(under);
    importsChapter(under);
    warningsChapter(under);
    sharesChapter(under);
    sumsChapter(under);
    randomChapter(under);
  });
}
