/** Asks before something goes, in words that name what goes. */
import { Alert, Button, Group, Modal, Stack } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { ReactElement, ReactNode } from 'react';
import { refresh } from './api.ts';

interface ConfirmProps {
  title: string;
  children: ReactNode;
  /** On the button. */
  verb: string;
  act(): Promise<unknown>;
  onClose(): void;
}

export function Confirm({ title, children, verb, act, onClose }: ConfirmProps): ReactElement {
  const done = useMutation({
    mutationFn: act,
    onSuccess: async () => {
      onClose();
      await refresh();
    },
  });
  return (
    <Modal opened onClose={onClose} title={title}>
      <Stack>
        <div style={{ fontSize: 'var(--mantine-font-size-sm)' }} className="break">
          {children}
        </div>
        {done.error && <Alert color="red">{done.error.message}</Alert>}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Keep it
          </Button>
          <Button color="red.8" loading={done.isPending} onClick={() => done.mutate()}>
            {verb}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
