import{j as o,o as t}from"./part-W5G4VZIO.js";var i=o(null);function s(n,{isBad:a=!1}={}){i.value={text:n,isBad:a,at:t()}}export{i as a,s as b};
