/**
 * Forms: other shapes in which records of a stream come and are shown.
 *
 * A stream `usage` keeps a `type` and what was `used`; a client that sends only data sessions sends `kilobytes_used`
 * and no type. That is a form of the stream: `{"names": {"used": "kilobytes_used"}, "fixed": {"type": "data"}}`. A
 * field that is fixed is named by no record of that form; one that names it has an unknown field.
 *
 * A form is a stream itself: the same fields in the same order, under its own names, the fixed ones with their value
 * as a default. So whatever reads or writes records takes a stream or a form of it alike. Refusals speak of the names
 * of the form, and rejects remember it, so that they are replayed in it.
 */
import type { FormDeclaration } from './declaration.ts';
import { TallybookError } from './errors.ts';
import { checkValue, type Field } from './field-types.ts';
import type { AskedQuestion } from './question.ts';
import type { Stream } from './stream.ts';

export interface Form extends Stream {
  form: string;
  /** The stream that this is a form of. */
  of: Stream;
  /** What makes it differ from that. */
  shape: FormDeclaration;
}

export function makeForm(of: Stream, name: string, shape: FormDeclaration): Form {
  const { names = {}, fixed = {} } = shape;
  const fields = of.fields.map((field): Field => {
    if (!Object.hasOwn(fixed, field.name)) return { ...field, name: nameOf(field.name, names) };
    const { required: _, ...rest } = field;
    return { ...rest, default: fixed[field.name]! } as Field;
  });
  const named = fields.filter((_, index) => !Object.hasOwn(fixed, of.fields[index]!.name));
  const byName = new Map(named.map((field) => [field.name, field]));
  const same = (field: Field | undefined) => field && fields[of.fields.indexOf(field)];
  return {
    ...of,
    form: name,
    of,
    shape,
    fields,
    named,
    field: (wanted) => byName.get(wanted),
    id: same(of.id),
    time: same(of.time),
    forms: new Map(),
  };
}

/** The same form of the stream as it is declared now. */
export function formOf(stream: Stream, { form, shape }: Form): Form {
  return stream.forms.get(form) ?? makeForm(stream, form, shape);
}

/** What is wrong with a form; the fields are those of the stream, and have no faults themselves. */
export function formFaults(
  name: string,
  { names = {}, fixed = {} }: FormDeclaration,
  fields: ReadonlyMap<string, Field>,
  id: string | undefined,
): string[] {
  const faults: string[] = [];
  for (const field of [...Object.keys(names), ...Object.keys(fixed)]) {
    if (!fields.has(field)) faults.push(`form ${name}: ${field} is not among the fields`);
    if (field === id) faults.push(`form ${name}: ${field} is the id, which is the same in every form`);
  }
  for (const field of Object.keys(names)) {
    if (Object.hasOwn(fixed, field))
      faults.push(`form ${name}: ${field} has another name or is fixed, not both`);
  }
  for (const [field, value] of Object.entries(fixed)) {
    const declared = fields.get(field);
    if (declared?.type === 'json') faults.push(`form ${name}: ${field} is json, which cannot be fixed`);
    if (declared && 'code' in checkValue(withoutDefault(declared), { kind: 'cell', text: String(value) }))
      faults.push(`form ${name}: ${JSON.stringify(value)} does not fit the field ${field}`);
  }
  const shown = [...fields.keys()]
    .filter((field) => !Object.hasOwn(fixed, field))
    .map((field) => nameOf(field, names));
  const twice = shown.find((field, index) => shown.indexOf(field) < index);
  if (twice !== undefined) faults.push(`form ${name}: two fields would be called ${twice}`);
  if (shown.length === 0)
    faults.push(`form ${name}: it fixes every field, so that a record would say nothing`);
  return faults;
}

/** A field may have the name of a property that every object has: `constructor`. */
function nameOf(field: string, names: Record<string, string>): string {
  return Object.hasOwn(names, field) ? names[field]! : field;
}

function withoutDefault(field: Field): Field {
  const { default: _, ...rest } = field;
  return rest as Field;
}

/** A form by its name. Throws `bad_request`. */
export function findForm(stream: Stream, name: string): Form {
  const form = stream.forms.get(name);
  if (form) return form;
  const known =
    stream.forms.size === 0 ? 'it has none' : `its forms are ${[...stream.forms.keys()].join(', ')}`;
  throw new TallybookError(
    'bad_request',
    `the stream ${stream.name} has no form ${name.slice(0, 100)}; ${known}`,
  );
}

/** Whether a record of the stream can be shown in this form: its fixed fields have the values of the form. */
export function fitsForm(form: Stream, values: readonly (string | null)[]): boolean {
  return form.fields.every((field, index) => {
    if (form.named.includes(field)) return true;
    const fixed = checkValue(field, undefined);
    return 'value' in fixed && fixed.value === values[index];
  });
}

/**
 * What a selection in the names of a form selects of its stream: only records of this form. Throws `bad_question` for
 * a condition on a field that the form does not have.
 */
export function selectionOfForm<T extends Pick<AskedQuestion, 'where'>>(form: Stream, asked: T): T {
  if (!form.of) return asked;
  const where: NonNullable<AskedQuestion['where']> = {};
  for (const [text, comparison] of Object.entries(asked.where ?? {})) {
    const [name = '', ...path] = text.split('.');
    const field = form.field(name);
    if (!field) {
      const names = form.named.map((known) => known.name).join(', ');
      throw new TallybookError('bad_question', `there is no field ${name} here; the fields are ${names}`);
    }
    where[[form.of.fields[form.fields.indexOf(field)]!.name, ...path].join('.')] = comparison;
  }
  form.fields.forEach((field, index) => {
    if (!form.named.includes(field)) where[form.of!.fields[index]!.name] = { eq: String(field.default) };
  });
  return { ...asked, where };
}
