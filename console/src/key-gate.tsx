/** Asks for a key. */
import { Anchor, Button, Code, Paper, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { type FormEvent, type ReactElement, useState } from 'react';
import { queryClient } from './api.ts';
import { takeKey, useKeyState } from './key.ts';

export function KeyGate(): ReactElement {
  const { refused } = useKeyState();
  const [key, setKey] = useState('');
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (key.trim() === '') return;
    takeKey(key.trim());
    void queryClient.resetQueries();
  };
  return (
    <main style={{ minHeight: '100vh', display: 'grid', placeItems: 'center', padding: '1rem' }}>
      <Paper component="form" onSubmit={submit} withBorder p="xl" w="100%" maw={420}>
        <Stack>
          <Title order={1} fz="1.3rem">
            Tallybook
          </Title>
          <Text size="sm">
            This server asks for a key. The first start wrote one that may do everything into{' '}
            <Code>admin.key</Code> in its data directory; others are made under Sources.
          </Text>
          <PasswordInput
            label="Key"
            value={key}
            onChange={(event) => setKey(event.currentTarget.value)}
            error={refused && 'The server does not know this key. It may have been revoked.'}
            autoComplete="off"
            data-autofocus
            autoFocus
          />
          <Button type="submit" disabled={key.trim() === ''}>
            Open
          </Button>
          <Text size="xs" c="dimmed">
            It is kept in this tab until you close it, and sent to this server alone.{' '}
            <Anchor href="/docs">The API</Anchor> can be read without one.
          </Text>
        </Stack>
      </Paper>
    </main>
  );
}
