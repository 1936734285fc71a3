/** Which records: conditions as they are written in questions (docs/questions.md), put together without having to know how. */
import { Button, Group, Pill, Select, TextInput } from '@mantine/core';
import { type FormEvent, type ReactElement, useState } from 'react';
import { Icon } from './icons.tsx';
import type { StreamDeclaration } from './wire.ts';

const comparisons = [
  { value: '=', label: 'is' },
  { value: '!=', label: 'is not' },
  { value: '>', label: 'more than' },
  { value: '>=', label: 'at least' },
  { value: '<', label: 'less than' },
  { value: '<=', label: 'at most' },
  { value: ' in ', label: 'is one of' },
  { value: ' like ', label: 'is like' },
  { value: ' is null', label: 'is missing' },
  { value: ' is not null', label: 'is there' },
];

export function Conditions({
  declaration,
  value,
  onChange,
}: {
  declaration: StreamDeclaration;
  value: string[];
  onChange(value: string[]): void;
}): ReactElement {
  const [field, setField] = useState<string | null>(null);
  const [comparison, setComparison] = useState('=');
  const [text, setText] = useState('');
  const bare = comparison.endsWith('null');
  const add = (event: FormEvent): void => {
    event.preventDefault();
    if (!field || (!bare && text === '')) return;
    onChange([...value, `${field}${comparison}${bare ? '' : text}`]);
    setText('');
  };
  return (
    <form onSubmit={add}>
      <Group gap="xs" align="center">
        {value.map((condition) => (
          <Pill
            key={condition}
            withRemoveButton
            size="md"
            onRemove={() => onChange(value.filter((one) => one !== condition))}
            removeButtonProps={{ 'aria-label': `Take away ${condition}`, 'aria-hidden': false, tabIndex: 0 }}
          >
            {condition}
          </Pill>
        ))}
        <Select
          size="xs"
          w={150}
          placeholder="Only where…"
          aria-label="Field"
          data={Object.keys(declaration.fields)}
          value={field}
          onChange={setField}
          searchable
        />
        {field && (
          <>
            <Select
              size="xs"
              w={110}
              aria-label="Comparison"
              data={comparisons}
              value={comparison}
              onChange={(chosen) => setComparison(chosen ?? '=')}
              allowDeselect={false}
            />
            {!bare && (
              <TextInput
                size="xs"
                w={160}
                aria-label="Value"
                value={text}
                onChange={(event) => setText(event.currentTarget.value)}
              />
            )}
            <Button type="submit" size="xs" variant="default" leftSection={<Icon name="plus" size={14} />}>
              Add
            </Button>
          </>
        )}
      </Group>
    </form>
  );
}
