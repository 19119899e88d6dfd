// Builds the dashboard: typed GraphQL operations beside each *.graphql, then one hashed script and one stylesheet.
//
//   node tools/ui.mjs           writes them into tracklayer/web/static
//   node tools/ui.mjs --check   writes nothing; fails where what is committed is not what the sources make
//
// Same sources, same bytes: the test compares them.

import { createHash } from 'node:crypto'
import { globSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

import { codegen } from '@graphql-codegen/core'
import * as operations from '@graphql-codegen/typescript-operations'
import { build } from 'esbuild'
import { parse, print, stripIgnoredCharacters } from 'graphql'

const UI = 'tracklayer/web/ui'
const STATIC = 'tracklayer/web/static'
const MOST_KIB = 70 // of the script, as it travels
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

async function bundle() {
  const { outputFiles } = await build({
    entryPoints: { dashboard: `${UI}/main.tsx` },
    outdir: STATIC,
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: ['chrome111', 'firefox114', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'inline',
    charset: 'utf8',
    logLevel: 'warning',
  })
  const made = new Map()
  for (const file of outputFiles) {
    const kind = file.path.split('.').at(-1)
    const hash = createHash('sha256').update(file.contents).digest('hex').slice(0, 10)
    made.set(`dashboard-${hash}.${kind}`, file.contents)
    const travels = gzipSync(file.contents, { level: 9 }).length / 1024
    console.log(`${kind}: ${(file.contents.length / 1024).toFixed(1)} KiB, ${travels.toFixed(1)} KiB compressed`)
    if (kind === 'js' && travels > MOST_KIB) {
      console.error(`The script may be ${MOST_KIB} KiB at most.`)
      process.exitCode = 1
    }
  }
  for (const name of readdirSync(STATIC)) {
    if (!/^dashboard-[0-9a-f]+\.(js|css)$/.test(name) || made.has(name)) continue
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
