import{h as t}from"./part-HQXG3BXN.js";var o=t(null);function i(n,{isBad:a=!1}={}){o.value={text:n,isBad:a,at:Date.now()}}export{o as a,i as b};
