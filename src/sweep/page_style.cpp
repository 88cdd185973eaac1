#include "page_parts.h"

namespace l2c {

std::string page_style() {
  return R"(<style>
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1e1e1e; background: #fff; margin: 0 auto;
  padding: 1.5rem; max-width: 80rem; }
h1 { line-height: 1.2; margin-bottom: .3rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem; }
.lead, .hint { color: #555; max-width: 60rem; }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); }
.card { border: 1px solid #ccc; border-left: 6px solid #0072b2; border-radius: 6px;
  padding: .8rem 1rem; }
.card.none, .card.missed { border-left-color: #d55e00; }
.card h3 { margin: 0 0 .4rem; }
.card .big { font-size: 1.5rem; font-weight: bold; margin: 0; }
.card .big small { font-size: 1rem; font-weight: normal; color: #555; }
pre { background: #f5f5f5; padding: .5rem .7rem; border-radius: 4px; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e5e5e5;
  white-space: nowrap; }
th { background: #fff; vertical-align: bottom; border-bottom: 2px solid #999; }
th:first-child, td:first-child, td.word, th.word { text-align: left; }
tr.front td { background: #eef6fb; }
tr.front td:first-child { font-weight: bold; }
tr.choosing td { color: #777; }
svg { width: 100%; height: auto; }
.tiles { display: flex; flex-wrap: wrap; gap: 1.2rem; }
figure { margin: 0; }
figcaption { font-size: .9rem; margin-bottom: .25rem; max-width: 37rem; }
.samples img { width: 37rem; max-width: 100%; image-rendering: pixelated; }
.plans img { max-width: min(100%, 37rem); }
summary { cursor: pointer; }
.key { display: inline-block; width: .9em; height: .9em; vertical-align: -.1em;
  border: 1px solid #999; }
dl.words dt { font-weight: bold; } dl.words dd { margin: 0 0 .5rem 1.2rem; max-width: 60rem; }
</style>
)";
}

}  // namespace l2c
