/** One report: what it holds, what was odd about it, how it is converted, and the way to delete it. */
import { Alert, Button, SimpleGrid, Stack } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type ReactElement, useState } from 'react';
import { useLocation, useParams } from 'wouter';
import { ask, download, useAnswer } from '../../api.ts';
import { Confirm } from '../../confirm.tsx';
import { DataTable } from '../../data-table.tsx';
import { Icon } from '../../icons.tsx';
import { exact } from '../../number.ts';
import { Back, Figure, Panel, ViewHead } from '../../parts.tsx';
import { Answered } from '../../states.tsx';
import { DayOf, Time } from '../../time.tsx';
import type { Report } from '../../wire.ts';
import { money } from './list.tsx';
import { ReportStatus } from './status.tsx';

export default function Detail(): ReactElement {
  const { item } = useParams();
  const report = useAnswer<Report>(`/dsrs/${item}/`, {}, { keep: false, every: 10_000 });
  const [deleting, setDeleting] = useState(false);
  const [, navigate] = useLocation();
  return (
    <Stack gap="md">
      <Back to="/reports">Reports</Back>
      <Answered query={report} lines={8}>
        {(one) => {
          const {
            id,
            path,
            service,
            territory,
            currency,
            period_start,
            period_end,
            rows,
            rejected,
            usages,
            revenue,
            warnings,
            euro,
            error,
            checksum,
            created_at,
            finished_at,
            supersedes,
            log = [],
          } = one;
          const remove = async (): Promise<void> => {
            await ask('DELETE', `/dsrs/${id}/`);
            notifications.show({
              color: 'gray',
              title: `Report ${id} is gone`,
              message: 'It and its lines have left every figure in one commit.',
            });
            navigate('/reports');
          };
          return (
            <>
              <ViewHead
                title={`${service}, ${territory.name}`}
                actions={
                  <>
                    {(rejected ?? 0) > 0 && (
                      <Button
                        variant="default"
                        leftSection={<Icon name="download" size={15} />}
                        onClick={() => void download(`/dsrs/${id}/rejected`, {}, `rejected-${id}.tsv`)}
                      >
                        Rejected lines
                      </Button>
                    )}
                    <Button
                      variant="default"
                      leftSection={<Icon name="bin" size={15} />}
                      onClick={() => setDeleting(true)}
                    >
                      Delete
                    </Button>
                  </>
                }
              >
                <DayOf date={period_start} /> – <DayOf date={period_end} /> ·{' '}
                <span className="break">{path}</span>
              </ViewHead>
              {error && (
                <Alert color="red" title="It failed, and left nothing">
                  {error}
                </Alert>
              )}
              <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
                <Figure
                  label="Status"
                  value={<ReportStatus of={one} />}
                  hint={<Time at={finished_at ?? created_at} />}
                />
                <Figure
                  label="Lines"
                  value={rows === null ? '–' : exact(rows)}
                  hint={rejected ? `${exact(rejected)} rejected` : 'none rejected'}
                />
                <Figure label="Plays" value={exact(usages)} />
                <Figure
                  label={`Revenue, ${currency.name}`}
                  value={<span title={revenue}>{money(revenue)}</span>}
                  hint={
                    <span className="mono break">
                      {revenue} {currency.code}
                    </span>
                  }
                />
              </SimpleGrid>
              <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
                <Panel title="Euro">
                  {euro ? (
                    <dl className="facts">
                      <dt>One euro is worth</dt>
                      <dd>
                        {exact(euro.rate)} {currency.code}
                      </dd>
                      <dt>Policy</dt>
                      <dd>{euro.policy.replace('_', ' ')}</dd>
                      <dt>From</dt>
                      <dd>
                        {euro.source}, {euro.date}
                      </dd>
                    </dl>
                  ) : (
                    <span className="quiet small">
                      No rate is known for {currency.code} in this period: put rates under Rates.
                    </span>
                  )}
                </Panel>
                <Panel title="The file">
                  <dl className="facts">
                    <dt>SHA-256</dt>
                    <dd className="mono break">{checksum}</dd>
                    <dt>Came</dt>
                    <dd>
                      <Time at={created_at} />
                    </dd>
                    {supersedes !== null && (
                      <>
                        <dt>In place of</dt>
                        <dd>report {supersedes}</dd>
                      </>
                    )}
                  </dl>
                </Panel>
              </SimpleGrid>
              {warnings.length > 0 && (
                <Panel title="Warnings">
                  <ul className="plain">
                    {warnings.map((warning) => (
                      <li key={warning} className="break">
                        {warning}
                      </li>
                    ))}
                  </ul>
                </Panel>
              )}
              {log.length > 0 && (
                <Panel title="Log" flush>
                  <DataTable
                    label="Log of the import"
                    rows={log}
                    keyOf={(_, at) => at}
                    columns={[
                      { title: 'when', nowrap: true, cell: ({ at }) => <Time at={at} /> },
                      { title: 'what', cell: ({ message }) => message },
                    ]}
                  />
                </Panel>
              )}
              {deleting && (
                <Confirm
                  title={`Delete report ${id}?`}
                  verb={`Delete ${exact(rows ?? 0)} lines`}
                  act={remove}
                  onClose={() => setDeleting(false)}
                >
                  <b>{path}</b>: its {exact(rows ?? 0)} lines with {exact(usages)} plays and {money(revenue)}{' '}
                  {currency.code} of revenue from {territory.name}, <DayOf date={period_start} /> to{' '}
                  <DayOf date={period_end} />, leave every figure in one commit.
                </Confirm>
              )}
            </>
          );
        }}
      </Answered>
    </Stack>
  );
}
