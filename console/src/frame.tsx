/** What stands around every view: the navigation, the key, the connection, and the drawers that any view can open. */
import {
  ActionIcon,
  Alert,
  AppShell,
  Burger,
  Group,
  NavLink,
  ScrollArea,
  Text,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import {
  Component,
  type ComponentType,
  lazy,
  type ReactElement,
  type ReactNode,
  Suspense,
  useEffect,
} from 'react';
import { Link, Route, Switch, useLocation } from 'wouter';
import { ask, queryClient } from './api.ts';
import { useConnectionLost } from './connection.ts';
import { Icon } from './icons.tsx';
import { forgetKey, useKeyState } from './key.ts';
import { KeyGate } from './key-gate.tsx';
import { Loading, Nothing, Trouble } from './states.tsx';
import { useUrl } from './url.ts';
import { type ViewPath, views } from './views.ts';

/** Each is loaded when it is opened. */
const loaded: Record<ViewPath, ComponentType> = {
  '/': lazy(() => import('./views/overview.tsx')),
  '/explore': lazy(() => import('./views/explore.tsx')),
  '/imports': lazy(() => import('./views/imports.tsx')),
  '/rejects': lazy(() => import('./views/rejects.tsx')),
  '/usage': lazy(() => import('./views/usage.tsx')),
  '/events': lazy(() => import('./views/events.tsx')),
  '/reports': lazy(() => import('./views/reports.tsx')),
  '/occupancy': lazy(() => import('./views/occupancy.tsx')),
  '/alerts': lazy(() => import('./views/alerts.tsx')),
  '/sources': lazy(() => import('./views/sources.tsx')),
};
const RecordDrawer = lazy(() => import('./drawers/record.tsx'));
const ExplainDrawer = lazy(() => import('./drawers/explain.tsx'));

const groups = [...new Set(views.map(({ group }) => group))];

export function Frame(): ReactElement {
  const [opened, { toggle, close }] = useDisclosure();
  const { needed } = useKeyState();
  const [path] = useLocation();
  const first = `/${path.split('/')[1]}`;
  const current = views.find((view) => view.path === first);
  useEffect(() => {
    document.title = current && current.path !== '/' ? `${current.title} · Tallybook` : 'Tallybook';
    close();
  }, [current, close]);
  if (needed) return <KeyGate />;
  return (
    <AppShell
      header={{ height: { base: 52, sm: 0 } }}
      navbar={{ width: 216, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <a className="skip" href="#view">
        Skip to the view
      </a>
      <AppShell.Header hiddenFrom="sm" px="sm">
        <Group h="100%" gap="sm">
          <Burger opened={opened} onClick={toggle} size="sm" aria-label="Navigation" aria-expanded={opened} />
          <Name />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label="Views">
        <AppShell.Section visibleFrom="sm" px="xs" py="sm">
          <Name />
        </AppShell.Section>
        <AppShell.Section grow component={ScrollArea}>
          {groups.map((group) => (
            <div key={group}>
              <div className="nav-group">{group}</div>
              {views
                .filter((view) => view.group === group)
                .map(({ path: to, title, icon }) => (
                  <NavLink
                    key={to}
                    className="nav-link"
                    component={Link}
                    href={to}
                    label={title}
                    leftSection={<Icon name={icon} />}
                    active={to === first}
                    aria-current={to === first ? 'page' : undefined}
                    py={7}
                    color="tally"
                  />
                ))}
            </div>
          ))}
        </AppShell.Section>
        <AppShell.Section pt="xs">
          <Foot />
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main id="view" tabIndex={-1} style={{ outline: 'none' }}>
        <LostBanner />
        <div style={{ maxWidth: 1360, margin: '0 auto' }}>
          <Boundary key={first}>
            <Suspense fallback={<Loading lines={8} />}>
              <Switch>
                {views.map(({ path: at }) => (
                  <Route key={at} path={at === '/' ? at : `${at}/:item?`} component={loaded[at]} />
                ))}
                <Route>
                  <Nothing
                    icon="empty"
                    title="There is no such view"
                    action={<Link href="/">To the overview</Link>}
                  />
                </Route>
              </Switch>
            </Suspense>
          </Boundary>
        </div>
      </AppShell.Main>
      <Drawers />
    </AppShell>
  );
}

function Name(): ReactElement {
  return (
    <Link href="/" style={{ textDecoration: 'none', color: 'inherit' }}>
      <Group gap={9} wrap="nowrap">
        <svg width="24" height="24" viewBox="0 0 32 32" aria-hidden>
          <rect width="32" height="32" rx="7" fill="#0f766e" />
          <path
            d="M9 9v14M13.7 9v14M18.3 9v14M23 9v14M6.5 20.5l19-9"
            stroke="#fff"
            strokeWidth="2.4"
            strokeLinecap="round"
            fill="none"
          />
        </svg>
        <Text fw={650}>Tallybook</Text>
      </Group>
    </Link>
  );
}

function Foot(): ReactElement {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const { has } = useKeyState();
  const health = useQuery({
    queryKey: ['/healthz'],
    queryFn: () => ask<{ version: string }>('GET', '/healthz'),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const other = scheme === 'dark' ? 'light' : 'dark';
  return (
    <Group justify="space-between" px="xs" wrap="nowrap">
      <Text size="xs" c="dimmed">
        {health.data?.version}
      </Text>
      <Group gap={2} wrap="nowrap">
        <ActionIcon
          variant="subtle"
          color="gray"
          component="a"
          href="/docs"
          aria-label="Reference of the API"
          title="Reference of the API"
        >
          <Icon name="book" />
        </ActionIcon>
        <ActionIcon
          variant="subtle"
          color="gray"
          onClick={() => setColorScheme(other)}
          aria-label={`Use ${other} colours`}
          title={`Use ${other} colours`}
        >
          <Icon name={scheme === 'dark' ? 'sun' : 'moon'} />
        </ActionIcon>
        {has && (
          <ActionIcon
            variant="subtle"
            color="gray"
            onClick={forgetKey}
            aria-label="Forget the key"
            title="Forget the key"
          >
            <Icon name="out" />
          </ActionIcon>
        )}
      </Group>
    </Group>
  );
}

function LostBanner(): ReactNode {
  const lost = useConnectionLost();
  useEffect(() => {
    // What was missed meanwhile.
    if (!lost) void queryClient.invalidateQueries();
  }, [lost]);
  if (!lost) return null;
  return (
    <Alert
      color="orange"
      variant="light"
      icon={<Icon name="unplug" />}
      mb="md"
      role="alert"
      title="The server does not answer"
    >
      What is shown is what it said last. It is asked again every two seconds.
    </Alert>
  );
}

/** Any view can open a record, or the entries behind a figure: they stand in the address. */
function Drawers(): ReactElement {
  const url = useUrl();
  return (
    <Suspense>
      {url.get('explain') !== '' && <ExplainDrawer />}
      {url.get('record') !== '' && <RecordDrawer />}
    </Suspense>
  );
}

/** A defect in one view leaves the others alone. */
class Boundary extends Component<{ children: ReactNode }, { error: Error | undefined }> {
  override state = { error: undefined as Error | undefined };
  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }
  override render(): ReactNode {
    return this.state.error ? (
      <Trouble error={this.state.error} again={() => location.reload()} />
    ) : (
      this.props.children
    );
  }
}
