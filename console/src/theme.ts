/** Calm and dense: one colour that acts, greys that say where things are, figures of equal width. */
import { createTheme, type MantineColorsTuple } from '@mantine/core';

const tally: MantineColorsTuple = [
  '#eefaf8',
  '#d5f0eb',
  '#a9e0d6',
  '#78cdbf',
  '#4fbaaa',
  '#30a796',
  '#1b8f80',
  '#0f766e',
  '#0b5f59',
  '#084a46',
];

export const theme = createTheme({
  primaryColor: 'tally',
  primaryShade: 7,
  colors: { tally },
  defaultRadius: 'md',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace',
  fontWeights: { regular: '400', medium: '500', bold: '600' },
  headings: { fontWeight: '620' },
  cursorType: 'pointer',
  components: {
    // A link in a line of text is told from it by more than its colour.
    Anchor: { defaultProps: { underline: 'always' } },
    Button: { defaultProps: { size: 'sm' } },
    Drawer: {
      defaultProps: { position: 'right', padding: 'lg', closeButtonProps: { 'aria-label': 'Close' } },
    },
    Modal: { defaultProps: { centered: true, closeButtonProps: { 'aria-label': 'Close' } } },
    Tooltip: { defaultProps: { openDelay: 300 } },
  },
});

/** Lines of a chart, told apart in light and dark, and without red against green. */
export const seriesColors = [
  'tally.6',
  'indigo.5',
  'orange.5',
  'grape.5',
  'cyan.6',
  'pink.5',
  'lime.7',
  'gray.6',
];
export const verdictColors: Record<string, string> = {
  accepted: 'tally.6',
  duplicate: 'gray.5',
  corrected: 'indigo.5',
  retracted: 'grape.5',
  conflict: 'orange.6',
  rejected: 'red.6',
};
