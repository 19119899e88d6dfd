import{l as e,m as i}from"./part-FS3O46WJ.js";function o(){return e(i,{title:"Deliveries",children:e("p",{})})}export{o as Deliveries};
