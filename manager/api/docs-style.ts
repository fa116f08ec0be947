/** Looks and the little behaviour of the documentation page. Both stand in the page itself, so that it works without a network. */

export const style = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2128;--dim:#59636e;--line:#d9dee4;--soft:#f5f7f9;--accent:#0a5dc2;--code:#f0f3f6;
--get:#0a5dc2;--post:#1a7f37;--put:#9a5b00;--patch:#7a3fc4;--delete:#c5202e}
@media(prefers-color-scheme:dark){:root{--bg:#0e1216;--fg:#e2e8ee;--dim:#98a4b1;--line:#2a323b;--soft:#151b21;--accent:#6cb2ff;--code:#1a2129;
--get:#6cb2ff;--post:#56d478;--put:#e9ad55;--patch:#c49bff;--delete:#ff8086}}
*{box-sizing:border-box}html{scroll-behavior:smooth;scroll-padding-top:1rem}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;display:grid;grid-template-columns:19rem minmax(0,1fr)}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;padding:1.4rem 1rem 2rem 1.4rem;border-right:1px solid var(--line);background:var(--soft)}
nav h1{font-size:1.15rem;margin:0 0 .1rem}nav .version{color:var(--dim);font-size:.8rem}
nav input{width:100%;margin:1rem 0 .4rem;padding:.4rem .6rem;font:inherit;color:inherit;background:var(--bg);border:1px solid var(--line);border-radius:6px}
nav h2{font-size:.75rem;text-transform:uppercase;letter-spacing:.06em;color:var(--dim);margin:1.1rem 0 .25rem}
nav ul{list-style:none;margin:0;padding:0}nav li a{display:flex;gap:.5rem;align-items:baseline;padding:.16rem .3rem;border-radius:5px;color:inherit;font-size:.86rem}
nav li a:hover{background:var(--line);text-decoration:none}
main{padding:1.6rem 2.4rem 6rem;max-width:62rem}
main>h2{margin:3rem 0 .2rem;font-size:1.5rem}main>p{color:var(--dim);margin:.2rem 0 1rem;max-width:46rem}
.op{border:1px solid var(--line);border-radius:10px;margin:1.1rem 0;overflow:hidden}
.op header{padding:.8rem 1.1rem;background:var(--soft);border-bottom:1px solid var(--line)}
.op header h3{margin:0;font-size:1rem;font-weight:600;display:flex;flex-wrap:wrap;gap:.6rem;align-items:baseline}
.op header p{margin:.25rem 0 0}.path{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.needs{margin-left:auto;font-size:.75rem;font-weight:400;color:var(--dim)}
.in{padding:.4rem 1.1rem 1.1rem}.in h4{margin:1.1rem 0 .4rem;font-size:.8rem;text-transform:uppercase;letter-spacing:.05em;color:var(--dim)}
.m{font:600 .72rem/1 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;text-transform:uppercase;flex:none;width:3.6em}
.get{color:var(--get)}.post{color:var(--post)}.put{color:var(--put)}.patch{color:var(--patch)}.delete{color:var(--delete)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.88rem}
th{text-align:left;font-weight:600;color:var(--dim);font-size:.78rem}th,td{padding:.36rem .8rem .36rem 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}td:first-child{white-space:nowrap}td p{margin:0}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.86em}
code{background:var(--code);padding:.08em .32em;border-radius:4px}pre code{background:none;padding:0}
pre{background:var(--code);margin:0;padding:.8rem 1rem;border-radius:8px;overflow-x:auto;line-height:1.45;font-size:.82rem}
.copy{position:relative}.copy button{position:absolute;top:.45rem;right:.45rem;font:inherit;font-size:.74rem;padding:.2rem .6rem;color:var(--fg);background:var(--bg);border:1px solid var(--line);border-radius:5px;cursor:pointer}
.dim{color:var(--dim)}.req{color:var(--delete);font-size:.75rem}details{margin:.5rem 0}summary{cursor:pointer;color:var(--accent);font-size:.88rem}
[hidden]{display:none!important}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:1rem;background:var(--bg);padding:.5rem;z-index:2}
@media(max-width:56rem){body{display:block}nav{position:static;height:auto;max-height:45vh;border-right:0;border-bottom:1px solid var(--line)}main{padding:1rem}.needs{margin-left:0}}
`;

export const behaviour = `
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
const filter = document.querySelector("#filter");
filter.addEventListener("input", () => {
  const wanted = filter.value.trim().toLowerCase();
  for (const item of document.querySelectorAll("[data-words]")) item.hidden = !item.dataset.words.includes(wanted);
  for (const group of document.querySelectorAll("nav section")) group.hidden = !group.querySelector("li:not([hidden])");
});
// An address shown in a curl line is the one that this page came from.
for (const code of document.querySelectorAll("code[data-curl]")) code.textContent = code.textContent.replace("http://127.0.0.1:7070", location.origin);
`;
