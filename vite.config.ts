/**
 * The command and the library, built into some forty files. A command read 260 of ours and 680 of TypeBox's before it
 * did anything, half a second of its 1.3. Other packages stay where npm puts them.
 */
import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    ssr: true,
    target: 'node20',
    outDir: 'dist',
    // The types are there already.
    emptyOutDir: false,
    copyPublicDir: false,
    license: { fileName: 'licenses.md' },
    rolldownOptions: {
      input: { index: 'src/index.ts', 'cli/main': 'src/cli/main.ts' },
      // As deep as the command: what looks for files beside the package counts the directories between.
      output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name].js' },
    },
  },
  ssr: { noExternal: ['typebox'] },
});
