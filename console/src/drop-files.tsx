/** A place to drop files on, or to choose them by keyboard. */
import { Button, FileButton, Text } from '@mantine/core';
import { type DragEvent, type ReactElement, type ReactNode, useState } from 'react';
import { Icon } from './icons.tsx';

export function DropFiles({
  onFiles,
  children,
  accept,
  disabled = false,
}: {
  onFiles(files: File[]): void;
  children: ReactNode;
  accept?: string;
  disabled?: boolean;
}): ReactElement {
  const [over, setOver] = useState(false);
  const drag = (event: DragEvent, isOver: boolean): void => {
    event.preventDefault();
    setOver(isOver && !disabled);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button inside does the same
    <div
      className="drop"
      data-over={over}
      data-testid="drop"
      onDragOver={(event) => drag(event, true)}
      onDragLeave={(event) => drag(event, false)}
      onDrop={(event) => {
        drag(event, false);
        if (!disabled) onFiles([...event.dataTransfer.files]);
      }}
    >
      <span className="quiet">
        <Icon name="upload" size={28} />
      </span>
      <Text size="sm" my="xs">
        {children}
      </Text>
      <FileButton onChange={onFiles} multiple {...(accept ? { accept } : {})} disabled={disabled}>
        {(props) => (
          <Button variant="default" {...props} disabled={disabled}>
            Choose files
          </Button>
        )}
      </FileButton>
    </div>
  );
}
