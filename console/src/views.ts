/** The views of the console: what they are called, where they stand, in which group of the navigation. */
export const views = [
  { path: '/', title: 'Overview', group: 'Ledger', icon: 'pulse' },
  { path: '/explore', title: 'Explore', group: 'Ledger', icon: 'chart' },
  { path: '/imports', title: 'Imports', group: 'Ledger', icon: 'upload' },
  { path: '/rejects', title: 'Rejects', group: 'Ledger', icon: 'warning' },
  { path: '/usage', title: 'Usage', group: 'Systems', icon: 'phone' },
  { path: '/events', title: 'Events', group: 'Systems', icon: 'cursor' },
  { path: '/reports', title: 'Reports', group: 'Systems', icon: 'music' },
  { path: '/occupancy', title: 'Occupancy', group: 'Systems', icon: 'people' },
  { path: '/alerts', title: 'Alerts', group: 'Operations', icon: 'bell' },
  { path: '/sources', title: 'Sources', group: 'Operations', icon: 'key' },
] as const;

export type View = (typeof views)[number];
export type ViewPath = View['path'];
