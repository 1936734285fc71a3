/** The parts that views are made of. */
import { Anchor, Button, Group, Title } from '@mantine/core';
import { type ReactElement, type ReactNode, useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { Icon } from './icons.tsx';
import { exact } from './number.ts';
import type { Verdict } from './wire.ts';

export function ViewHead({
  title,
  children,
  actions,
}: {
  title: ReactNode;
  children?: ReactNode;
  actions?: ReactNode;
}): ReactElement {
  return (
    <div className="spread" style={{ alignItems: 'flex-end' }}>
      <div style={{ minWidth: 0 }}>
        <Title order={1} fz="1.4rem" className="break">
          {title}
        </Title>
        {children && <div className="quiet small">{children}</div>}
      </div>
      {actions && <Group gap="xs">{actions}</Group>}
    </div>
  );
}

/** To the view that this one was opened from. */
export function Back({ to, children }: { to: string; children: ReactNode }): ReactElement {
  return (
    <Anchor component={Link} href={to} size="sm" c="inherit">
      <Group gap={6} component="span">
        <Icon name="back" size={16} /> {children}
      </Group>
    </Anchor>
  );
}

/** A framed part of a view; flush when a table fills it. */
export function Panel({
  title,
  actions,
  flush = false,
  children,
}: {
  title?: ReactNode;
  actions?: ReactNode;
  flush?: boolean;
  children: ReactNode;
}): ReactElement {
  return (
    <section className={flush ? 'panel flush' : 'panel'}>
      {(title || actions) && (
        <div className="panel-head">
          {title && <h2>{title}</h2>}
          {actions && <Group gap="xs">{actions}</Group>}
        </div>
      )}
      {children}
    </section>
  );
}

export function Figure({
  label,
  value,
  hint,
}: {
  label: string;
  value: ReactNode;
  hint?: ReactNode;
}): ReactElement {
  return (
    <section className="panel" aria-label={label}>
      <div className="label">{label}</div>
      <div className="figure">{value}</div>
      {hint && <div className="quiet small">{hint}</div>}
    </section>
  );
}

/** A number with all its digits. It lights up for a moment when it has changed before the viewer's eyes. */
export function Exact({
  value,
  scale,
  unit,
}: {
  value: string | number | bigint | null;
  scale?: number;
  unit?: string;
}): ReactElement {
  const text = value === null ? '–' : exact(value, scale);
  const before = useRef(text);
  const [followed, setFollowed] = useState(0);
  useEffect(() => {
    if (before.current === text) return;
    before.current = text;
    setFollowed((times) => times + 1);
  }, [text]);
  return (
    <span key={followed} className={followed > 0 ? 'followed' : undefined}>
      {text}
      {unit && <span className="quiet"> {unit}</span>}
    </span>
  );
}

/** Leads to what is behind a figure or an id. */
export function Lead({
  onClick,
  title,
  children,
}: {
  onClick(): void;
  title: string;
  children: ReactNode;
}): ReactElement {
  return (
    <button type="button" className="lead" onClick={onClick} title={title}>
      {children}
    </button>
  );
}

const verdictTone: Record<string, string> = {
  accepted: 'tally',
  duplicate: 'gray',
  corrected: 'indigo',
  retracted: 'grape',
  conflict: 'orange',
  rejected: 'red',
  not_open: 'gray',
};
export function VerdictBadge({ verdict }: { verdict: Verdict }): ReactElement {
  return <Tag color={verdictTone[verdict] ?? 'gray'}>{verdict.replace('_', ' ')}</Tag>;
}

/** A word that says how something stands; the colour only underlines it. */
export function Tag({ color, children }: { color: string; children: ReactNode }): ReactElement {
  return (
    <span className="tag">
      <i style={{ background: `var(--mantine-color-${color}-6)` }} />
      {children}
    </span>
  );
}

export function MorePages({
  pages,
}: {
  pages: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage(): unknown };
}): ReactNode {
  if (!pages.hasNextPage) return null;
  return (
    <Group justify="center" p="sm">
      <Button
        variant="default"
        size="xs"
        loading={pages.isFetchingNextPage}
        onClick={() => void pages.fetchNextPage()}
      >
        Show more
      </Button>
    </Group>
  );
}

/** Text as it came; what is longer than the frame scrolls, by the keyboard too. */
export function CodeBlock({ label, children }: { label: string; children: string }): ReactElement {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="code" tabIndex={0} aria-label={label}>
      <pre>{children}</pre>
    </section>
  );
}

/** Small columns, one a value: a shape, not a figure. */
export function Bars({
  values,
  label,
  width = 120,
  height = 26,
}: {
  values: number[];
  label: string;
  width?: number;
  height?: number;
}): ReactElement {
  const most = Math.max(...values.map(Math.abs), 1);
  const step = width / Math.max(values.length, 1);
  return (
    <svg className="bars" width={width} height={height} role="img" aria-label={label}>
      {values.map((value, at) => {
        const tall = value === 0 ? 1 : Math.max(2, (Math.abs(value) / most) * height);
        return (
          <rect
            key={at}
            x={at * step}
            y={height - tall}
            width={Math.max(step - 1, 1)}
            height={tall}
            opacity={value === 0 ? 0.25 : 0.85}
            rx={1}
          />
        );
      })}
    </svg>
  );
}
