/** What the demo's records refer to: plans and subscriptions, exchange rates, and a building with its sensors. */
import { markets, reportPeriod, sensors } from './made-up.ts';

export const plans = [
  { id: 'small', name: 'Small', price: '9.90', data_available: 500_000 },
  { id: 'family', name: 'Family', price: '24.90', data_available: 5_000_000 },
  { id: 'office', name: 'Office', price: '49.90', data_available: 50_000_000 },
];

/** The subscriptions that use most, each on a plan. */
export const subscriptions = Array.from({ length: 200 }, (_, i) => ({
  id: i + 1,
  carrier: i % 3 === 0 ? 'sprint' : 'att',
  plan: i < 20 ? 'office' : i % 4 === 0 ? 'small' : 'family',
  status: i % 17 === 16 ? 'suspended' : 'active',
}));

/** What one euro was worth, made up as the reports are. */
export function rates(day: string): { date: string; currency: string; rate: string }[] {
  const { start, end } = reportPeriod(day);
  return markets.flatMap(([, currency, first, last]) =>
    first === undefined
      ? []
      : [
          { date: start, currency, rate: first },
          { date: end, currency, rate: last },
        ],
  );
}

const spaces = ['Hall', 'Library', 'Laboratory', 'Canteen', 'Gym', 'Workshop'];

/** Six spaces with four doors each, and a sensor above each door; every night all are set to 0. */
export function building(records: number): Record<string, object[]> {
  const ids = spaces.map((name) => name.toLowerCase());
  const doors = Array.from({ length: sensors.count }, (_, i) => ({
    dpu: sensors.first + i,
    space: ids[i % ids.length]!,
    door: `${ids[i % ids.length]}-${1 + Math.floor(i / ids.length)}`,
  }));
  return {
    spaces: spaces.map((name, i) => ({
      id: ids[i],
      name,
      tz: 'Europe/Madrid',
      capacity: Math.max(20, Math.ceil(records / 200)),
    })),
    doorways: doors.map(({ space, door }) => ({ id: door, one_side: space })),
    sensors: doors.map(({ dpu, door }) => ({ dpu_id: dpu, name: `above ${door}` })),
    assignments: doors.map(({ dpu, space, door }) => ({
      dpu_id: dpu,
      doorway_id: door,
      faces: space,
      from: '2020-01-01',
    })),
    reset_rules: ids.map((space) => ({ space_id: space, local_time: '04:00' })),
  };
}
