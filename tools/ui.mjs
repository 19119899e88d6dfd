// Builds the dashboard: typed GraphQL operations beside each *.graphql, then scripts and a stylesheet with
// their hash in the name: what every page needs, and a part for each screen; and the script of the guides.
//
//   node tools/ui.mjs           writes them into tracklayer/web/static
//   node tools/ui.mjs --check   writes nothing; fails where what is committed is not what the sources make
//
// Same sources, same bytes: the test compares them.

import { globSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

import { codegen } from '@graphql-codegen/core'
import * as operations from '@graphql-codegen/typescript-operations'
import { build } from 'esbuild'
import { parse, print, stripIgnoredCharacters } from 'graphql'

const UI = 'tracklayer/web/ui'
const STATIC = 'tracklayer/web/static'
const MOST_KIB = 70 // of all scripts that a screen needs, as they travel
const isCheck = process.argv.includes('--check')
const stale = []

/** Writes a file, or with --check notes where it is not as it should be. */
function put(path, text) {
  let found = null
  try {
    found = readFileSync(path)
  } catch {}
  const wanted = Buffer.from(text)
  if (found !== null && found.equals(wanted)) return
  if (isCheck) stale.push(path)
  else writeFileSync(path, wanted)
}

/** The documents of one file as texts with the types of their variables and results. */
const documents = {
  plugin(schema, files) {
    const lines = []
    const definitions = files.flatMap((file) => file.document.definitions)
    const fragments = new Map(
      definitions.filter((one) => one.kind === 'FragmentDefinition').map((one) => [one.name.value, one]),
    )
    for (const one of definitions) {
      if (one.kind !== 'OperationDefinition') continue
      const name = one.name.value
      const kind = one.operation[0].toUpperCase() + one.operation.slice(1)
      const text = [one, ...used(one, fragments)].map((part) => print(part)).join('\n')
      const variables = `${name}${kind}Variables`
      lines.push(
        `export const ${name} = ${JSON.stringify(stripIgnoredCharacters(text))} as Operation<${name}${kind}, ${variables}>`,
      )
    }
    return lines.join('\n')
  },
}

/** The fragments that a definition spreads, and those that they spread. */
function used(definition, fragments, found = new Set()) {
  JSON.stringify(definition, (key, value) => {
    if (value?.kind === 'FragmentSpread' && !found.has(value.name.value)) {
      found.add(value.name.value)
      used(fragments.get(value.name.value), fragments, found)
    }
    return value
  })
  return [...found].sort().map((name) => fragments.get(name))
}

async function types() {
  const schema = parse(readFileSync('tracklayer/schema/schema.graphql', 'utf8'))
  for (const path of globSync(`${UI}/**/*.graphql`).sort()) {
    const document = parse(readFileSync(path, 'utf8'))
    const made = await codegen({
      schema,
      documents: [{ document, location: path }],
      filename: `${path}.ts`,
      config: {
        useTypeImports: true,
        scalars: { DateTime: 'string', Decimal: 'Decimal', JSON: 'Json', ID: 'string' },
      },
      plugins: [{ operations: { operationResultSuffix: '' } }, { documents: {} }],
      pluginMap: { operations, documents },
    })
    const depth = path.split('/').length - UI.split('/').length - 1
    const lib = `${'../'.repeat(depth) || './'}lib`
    const head =
      `// Made by \`make ui\` from ${path.split('/').at(-1)} and the schema.\n` +
      `import type { Operation } from '${lib}/api'\nimport type { Decimal, Json } from '${lib}/exact'\n\n`
    // Renamed: the name says nothing of what is imported above, where nothing of it is used it is left out.
    put(path.replace(/graphql$/, 'gql.ts'), head + made.replaceAll('Internal type. DO NOT USE DIRECTLY.', 'Of the generator.').trim() + '\n')
  }
}

const options = {
  outdir: STATIC,
  bundle: true,
  preserveSymlinks: true, // names of parts hang on paths: node_modules may be a link to that of another checkout
  minify: true,
  write: false,
  format: 'esm',
  target: ['chrome111', 'firefox114', 'safari16.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'inline',
  charset: 'utf8',
  logLevel: 'warning',
}

/** The script that every page loads, and parts that it asks for: a screen with what only some screens need. */
async function scripts() {
  const made = await build({
    ...options,
    entryPoints: { dashboard: `${UI}/main.tsx` },
    splitting: true,
    metafile: true,
    entryNames: 'dashboard-[hash]',
    chunkNames: 'part-[hash]',
    loader: { '.css': 'empty' },
  })
  const sizes = new Map(made.outputFiles.map((file) => [nameOf(file), gzipSync(file.contents, { level: 9 }).length]))
  const imports = new Map(
    Object.entries(made.metafile.outputs).map(([path, one]) => [
      path.split('/').at(-1),
      one.imports.filter((part) => part.kind === 'import-statement').map((part) => part.path.split('/').at(-1)),
    ]),
  )
  const whole = (name, found = new Set()) => {
    if (!found.has(name)) {
      found.add(name)
      imports.get(name).forEach((part) => whole(part, found))
    }
    return found
  }
  const entry = [...sizes.keys()].find((name) => name.startsWith('dashboard-'))
  const first = whole(entry)
  const weight = (names) => [...names].reduce((sum, name) => sum + sizes.get(name), 0) / 1024
  const screens = [...sizes.keys()].map((name) => weight(whole(name, new Set(first))))
  console.log(`js: ${weight(first).toFixed(1)} KiB compressed at first, ${Math.max(...screens).toFixed(1)} with the largest screen`)
  console.log(`js: ${weight(sizes.keys()).toFixed(1)} KiB compressed in ${sizes.size} files`)
  if (Math.max(...screens) > MOST_KIB) {
    console.error(`A screen's scripts may be ${MOST_KIB} KiB at most.`)
    process.exitCode = 1
  }
  return made.outputFiles
}

/** All styles in one file: it is small, and no part needs to wait for its own. But for those that stand in the page itself. */
async function styles() {
  const made = await build({ ...options, entryPoints: { dashboard: `${UI}/main.tsx` }, entryNames: 'dashboard-[hash]' })
  const found = made.outputFiles.filter((file) => file.path.endsWith('.css'))
  console.log(`css: ${(gzipSync(found[0].contents, { level: 9 }).length / 1024).toFixed(1)} KiB compressed`)
  const shell = await build({ ...options, entryPoints: { shell: `${UI}/parts/shell.css` } })
  return [...found, ...shell.outputFiles]
}

/** The guides' own script: small, and of nothing but its source. */
async function guides() {
  const made = await build({ ...options, entryPoints: { docs: `${UI}/docs.ts` }, entryNames: 'docs-[hash]' })
  return made.outputFiles
}

function nameOf(file) {
  return file.path.split('/').at(-1)
}

async function bundle() {
  const made = new Map([...(await scripts()), ...(await styles()), ...(await guides())].map((file) => [nameOf(file), file.contents]))
  for (const name of readdirSync(STATIC)) {
    if (!/^(dashboard|part|docs)-\w+\.(js|css)$/.test(name) || made.has(name)) continue
    if (isCheck) stale.push(`${STATIC}/${name}`)
    else rmSync(`${STATIC}/${name}`)
  }
  for (const [name, contents] of made) put(`${STATIC}/${name}`, contents)
}

await types()
await bundle()
if (stale.length) {
  console.error(`Not as the sources make them; run \`make ui\`:\n${stale.join('\n')}`)
  process.exitCode = 1
}
