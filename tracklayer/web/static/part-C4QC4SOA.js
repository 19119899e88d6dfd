import{j as o,p as t}from"./part-ZMOLCEUU.js";var i=o(null);function s(n,{isBad:a=!1}={}){i.value={text:n,isBad:a,at:t()}}export{i as a,s as b};
