/** What a form of a stream may be, how it may change, and what it selects. */
import { expect, test } from 'vitest';
import type { FormDeclaration, StreamDeclaration } from '../../src/engine/declaration.ts';
import { TallybookError } from '../../src/engine/errors.ts';
import { fitsForm, selectionOfForm } from '../../src/engine/forms.ts';
import { recordSchema } from '../../src/engine/json-schema.ts';
import { checkEvolution, defineStream } from '../../src/engine/stream.ts';

const fields: StreamDeclaration['fields'] = {
  id: { type: 'integer', required: true },
  kind: { type: 'text', one_of: ['data', 'voice'], default: 'voice' },
  used: { type: 'integer', min: 0, required: true },
  note: { type: 'json' },
};
const withForm = (form: FormDeclaration) =>
  defineStream('usage', { id: 'id', fields, forms: { short: form } });

test.each<[form: FormDeclaration, fault: string]>([
  [{ names: { size: 'bytes' } }, 'size is not among the fields'],
  [{ fixed: { size: 1 } }, 'size is not among the fields'],
  [{ names: { id: 'number' } }, 'id is the id, which is the same in every form'],
  [{ fixed: { id: 7 } }, 'id is the id, which is the same in every form'],
  [{ names: { kind: 'type' }, fixed: { kind: 'data' } }, 'kind has another name or is fixed, not both'],
  [{ fixed: { kind: 'text' } }, '"text" does not fit the field kind'],
  [{ fixed: { used: -1 } }, '-1 does not fit the field used'],
  [{ fixed: { note: '{}' } }, 'note is json, which cannot be fixed'],
  [{ names: { used: 'note' } }, 'two fields would be called note'],
  [{ names: { used: 'Used' } }, 'forms'],
  [{ names: { used: 'size' }, more: 1 } as FormDeclaration, 'more'],
])('a form %j is refused', (form, fault) => {
  expect(() => withForm(form)).toThrow(fault);
});

test('a form that fixes every field is refused', () => {
  const declared = { fields: { kind: fields['kind']! }, forms: { all: { fixed: { kind: 'data' } } } };
  expect(() => defineStream('usage', declared)).toThrow('it fixes every field');
});

test('a field may have a name that every object knows', () => {
  const declared: StreamDeclaration['fields'] = Object.fromEntries([
    ['constructor', { type: 'text' }],
    ['used', { type: 'integer' }],
  ]);
  const stream = defineStream('usage', {
    fields: declared,
    forms: { short: { names: { used: 'size' } } },
  });
  expect(stream.forms.get('short')!.named.map(({ name }) => name)).toEqual(['constructor', 'size']);
});

test('a form may come and change, and may not go', () => {
  const [none, one, other] = [
    defineStream('usage', { id: 'id', fields }),
    withForm({ names: { used: 'size' } }),
    withForm({ names: { used: 'bytes' } }),
  ];
  checkEvolution(none, one);
  checkEvolution(one, other);
  expect(() => checkEvolution(one, none)).toThrow('form short cannot be removed');
});

test('a form has the schema of its own records', () => {
  const form = withForm({ names: { used: 'size' }, fixed: { kind: 'data' } }).forms.get('short')!;
  const schema = recordSchema(form);
  expect(Object.keys(schema['properties'] as object)).toEqual(['id', 'size', 'note']);
  expect(schema['required']).toEqual(['id', 'size']);
});

test('a form selects its own records, by its own names', () => {
  const stream = withForm({ names: { used: 'size', note: 'text' }, fixed: { kind: 'data' } });
  const form = stream.forms.get('short')!;
  expect(selectionOfForm(form, { where: { size: { gt: '5' }, 'text.a': 'x' }, limit: 3 })).toEqual({
    where: { used: { gt: '5' }, 'note.a': 'x', kind: { eq: 'data' } },
    limit: 3,
  });
  expect(selectionOfForm(stream, { where: { used: 1 } })).toEqual({ where: { used: 1 } });
  for (const name of ['used', 'kind', 'nope'])
    expect(() => selectionOfForm(form, { where: { [name]: 1 } })).toThrow(TallybookError);
  expect(fitsForm(form, ['1', 'data', '5', null])).toBe(true);
  expect(fitsForm(form, ['1', 'voice', '5', null])).toBe(false);
  expect(fitsForm(stream, ['1', 'voice', '5', null])).toBe(true);
});
